"""Tests of pycast.config.icecast_logs: the logs of Icecast's file, in its three versions."""

import random

import pytest

from pycast.config.icecast_settings import Host
from pycast.config.load import loads
from tests.config.imports import closed, imported, run


@pytest.mark.parametrize(
    ("log", "file"),
    [
        ("<accesslog>a.log</accesslog>", "/var/log/icecast2/a.log"),
        ("<accesslog>/srv/a.log</accesslog>", "/srv/a.log"),
        ('<accesslog name="a.log"/>', "/var/log/icecast2/a.log"),
        ("<accesslog><name>/srv/a.log</name></accesslog>", "/srv/a.log"),
        ("<accesslog>/dev/stderr</accesslog>", "-"),
        ("<accesslog>-</accesslog>", "-"),
        ("<accesslog>/dev/null</accesslog>", ""),
        ("<accesslog/>", ""),
    ],
)
def test_names_of_logs_are_absolute_or_in_the_directory(log: str, file: str) -> None:
    xml = f"<logging>{log}</logging><paths><logdir>/var/log/icecast2/</logdir></paths>"
    assert imported(xml).logging.access_log == file


def test_log_that_cannot_be_written_is_commented_out_with_a_word() -> None:
    host = Host(random.Random(1), why_no_log=lambda name: "nobody can write it" if name == "/l/e" else "")
    result = run("<logging><errorlog>/l/e</errorlog><accesslog>/l/a</accesslog></logging>", host)
    assert loads(result.toml, {}, "f").logging.given == {"access_log": "/l/a"}
    assert '# error_log = "/l/e"  # nobody can write it\n' in result.toml
    assert [str(note) for note in result.notes] == [
        "line 1: logging/errorlog = /l/e: nobody can write it; the line is commented out"
    ]


@pytest.mark.parametrize("log", ["<accesslog><ip>0</ip><name>a</name></accesslog>", "<accesslog_ip>0</accesslog_ip>"])
def test_log_without_addresses_is_off_as_pycast_would_write_them(log: str) -> None:
    xml = f"<logging><accesslog>a</accesslog>{log}</logging>"
    assert loads(run(xml).toml, {}, "f").logging.access_log == ""
    assert len(closed(xml)) == 1


@pytest.mark.parametrize(
    ("written", "level"),
    [
        *(("4", "debug"), ("3", "info"), ("2", "warning"), ("1", "error"), ("0", "error"), ("5", "debug")),
        *(("debug", "debug"), ("information", "info"), ("info", "info"), ("Warning", "warning"), ("error", "error")),
        *(("DBUG", "debug"), ("INFO", "info"), ("WARN", "warning"), ("EROR", "error")),
    ],
)
def test_log_levels_of_all_versions_are_understood(written: str, level: str) -> None:
    assert imported(f"<logging><loglevel>{written}</loglevel></logging>").logging.log_level == level
    assert imported(f"<logging><errorlog><level>{written}</level></errorlog></logging>").logging.log_level == level


@pytest.mark.parametrize(
    ("log", "size", "is_dated"),
    [
        ("<logsize>10000</logsize>", 10_240_000, False),
        ("<logsize>0</logsize><logarchive>1</logarchive>", 0, True),
        ("<logarchive>0</logarchive>", 0, False),
        ("<accesslog><name>a</name><size>20</size><archive>1</archive></accesslog>", 20_480, True),
        ('<errorlog name="e" size="3"/>', 3072, False),
    ],
)
def test_sizes_are_kib_for_all_logs_or_in_one_of_them(log: str, size: int, is_dated: bool) -> None:
    logging = imported(f"<logging>{log}</logging>").logging
    assert (logging.logsize, logging.logarchive) == (size, is_dated)


def test_time_of_a_log_and_the_log_of_a_mount_come_over() -> None:
    logs = "<logging><accesslog><name>a</name><duration>86400</duration></accesslog></logging>"
    own = "<mount><mount-name>/m</mount-name><accesslog name='m.log'/></mount>"
    config = imported(f"{logs}{own}<paths><logdir>/l</logdir></paths>")
    assert (config.logging.logduration, config.mount[0].access_log) == (86_400, "/l/m.log")


def test_log_of_a_mount_without_addresses_is_none() -> None:
    xml = "<mount><mount-name>/m</mount-name><accesslog><name>/m.log</name><ip>0</ip></accesslog></mount>"
    assert not loads(run(xml).toml, {}, "f").mount[0].access_log
    [said] = closed(xml)
    assert said.startswith("line 1: mount /m accesslog: pycast writes addresses")
