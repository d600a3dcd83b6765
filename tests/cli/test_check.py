"""Tests of pycast.cli.check and pycast.cli.config."""

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pycast.cli.main import main
from pycast.config.reference import default_toml, reference_markdown
from pycast.formats.file_audio import EXPECTED, EXPECTED_BEFORE_STREAM
from pycast.formats.silence import StreamShape, silence
from tests.formats.elements import audio_track, cluster, document
from tests.formats.frame_bytes import mpeg

XML = """<icecast>
<hostname>radio.example</hostname><so-sndbuf>5</so-sndbuf>
<authentication><source-password>of-these-tests-1</source-password><relay-password>of-these-tests-2</relay-password>
<admin-password>of-these-tests-3</admin-password></authentication>
<mount><mount-name>/a</mount-name><fallback-mount>/backup.mp3</fallback-mount>{}</mount>
<paths><webroot>{}</webroot></paths>
</icecast>"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pycast.toml"


def test_good_file_is_called_ok_and_warned_about_known_passwords(file: Path) -> None:
    file.write_text('[[mount]]\nmount_name = "/a"\n')
    result = CliRunner().invoke(main, ["check", str(file)])
    assert (result.exit_code, result.stdout) == (0, f"ok  {file}: port 8000, 1 mount\n")
    assert "authentication.source_password is publicly known" in result.stderr


def test_weak_secrets_are_warned_about_with_their_line_and_not_shown(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYCAST_AUTHENTICATION__ADMIN_PASSWORD", "pqxyz7")
    secret = file.parent / "secret"
    secret.write_text("kvgh3\n")
    secret.chmod(0o644)
    file.write_text(
        '[server]\nhostname = "radio.example"\n[authentication]\nsource_password = "Change me 1"\n'
        f'relay_password = "nobody knows this"\n[cluster]\nsecret_file = "{secret}"\n'
        '[[mount]]\nmount_name = "/a"\npassword = "mno9"\n'
    )
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 0
    weak = "characters: set one that nobody can guess"
    assert result.stderr.splitlines() == [
        f"warning: {file}:4: authentication.source_password is publicly known: set one that nobody can guess",
        f"warning: PYCAST_AUTHENTICATION__ADMIN_PASSWORD: authentication.admin_password has fewer than 8 {weak}",
        f"warning: {file}:10: mount[0].password has fewer than 8 {weak}",
        f"warning: {file}:6: cluster.secret has fewer than 8 {weak}",
        f'warning: {file}:7: cluster.secret_file = "{secret}": '
        "every user of this machine can read it; chmod o-r makes it private",
    ]
    for shown in ("pqxyz7", "kvgh3", "Change me", "nobody knows", "mno9"):
        assert shown not in result.output


def test_files_that_are_not_there_are_problems(file: Path) -> None:
    folder = file.parent
    file.write_text(
        f'[[listen]]\ntls = true\n[tls]\ncertificate = "{folder}/no.pem"\n[logging]\naccess_log = "{folder}/no/a.log"\n'
        f'[[mount]]\nmount_name = "/a"\ndump_file = "{folder}/%Y/a"\non_connect = "{file}"\n'
    )
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 1
    assert [line.split(" = ")[0] for line in result.stderr.splitlines()[:3]] == [
        f"pycast: {file}:4: tls.certificate",
        f"pycast: {file}:6: logging.access_log",
        f"pycast: {file}:10: mount[0].on_connect",
    ]


def test_authorities_of_other_servers_have_to_be_there_and_readable(file: Path) -> None:
    (file.parent / "x.pem").write_text("no certificate")
    file.write_text(
        f'[[relay]]\nserver = "x"\nmount = "/a"\ntls_ca = "{file.parent}/x.pem"\n'
        f'[master]\nserver = "m"\npassword = "p"\ntls_ca = "{file.parent}/none.pem"\n'
    )
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 1
    assert [line.replace(str(file.parent), "…") for line in result.stderr.splitlines()[:2]] == [
        'pycast: …/pycast.toml:8: master.tls_ca = "…/none.pem": expected a readable file',
        'pycast: …/pycast.toml:4: relay[0].tls_ca = "…/x.pem": expected a PEM file with certificates',
    ]


def test_pipes_are_warned_about_and_not_opened(file: Path) -> None:
    os.mkfifo(file.parent / "pipe")
    pipe = file.parent / "pipe"
    file.write_text(f'[logging]\naccess_log = "{pipe}"\n[[mount]]\nmount_name = "/a"\ndump_file = "{pipe}"\n')
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 0
    assert [line for line in result.stderr.splitlines() if "named pipe" in line] == [
        f'warning: {file}:{number}: {key} = "{pipe}" is a named pipe: '
        "it is used only if a program reads it when it is opened"
        for number, key in ((2, "logging.access_log"), (5, "mount[0].dump_file"))
    ]


@pytest.mark.parametrize("key", ["webroot", "adminroot"])
def test_a_root_that_is_no_folder_is_a_problem(file: Path, key: str) -> None:
    file.write_text(f'[paths]\n{key} = "{file.parent / "nowhere"}"\n')
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 1
    assert result.stderr.startswith(f'pycast: {file}:2: paths.{key} = "{file.parent / "nowhere"}": expected a folder')
    file.write_text(f'[paths]\n{key} = "{file.parent}"\n')
    assert CliRunner().invoke(main, ["check", str(file)]).exit_code == 0


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('fallback_mount = "/f.mp3"', ""),
        ('fallback_mount = "silence"', ""),
        ('fallback_mount = "/a"', ""),
        ('fallback_mount = "/p/x"', ""),
        ('fallback_mount = "/no.mp3"', "expected a file below paths.webroot, or a mount that has a [[mount]] section"),
        ('fallback_mount = "/no-[128].mp3"', "{}/no-[128].mp3: No such file or directory"),
        (
            'fallback_mount = "/x.txt"',
            f"{{}}/x.txt: {EXPECTED}",
        ),
        ('intro = "/f.mp3"', ""),
        ('intro = "/no.mp3"', "{}/no.mp3: No such file or directory"),
        ('intro = "/x.txt"', f"{{}}/x.txt: {EXPECTED_BEFORE_STREAM}"),
        ('intro = "/x.webm"', f"{{}}/x.webm: {EXPECTED_BEFORE_STREAM}"),
        ('fallback_mount = "/x.webm"', ""),
        ('intro = "/x.wav"', ""),
    ],
)
def test_fallbacks_and_intros_have_to_be_there_and_playable(file: Path, line: str, why: str) -> None:
    folder = file.parent
    (folder / "f.mp3").write_bytes(mpeg() * 20)
    (folder / "x.txt").write_text("no audio")
    (folder / "x.webm").write_bytes(document(audio_track()) + cluster(0))
    (folder / "x.wav").write_bytes(silence(StreamShape("wav", samplerate=44_100, channels=2)))
    mounts = f'[[mount]]\nmount_name = "/p/*"\n[[mount]]\nmount_name = "/a"\n{line}\n'
    file.write_text(f'[paths]\nwebroot = "{folder}"\n{mounts}')
    result = CliRunner().invoke(main, ["check", str(file)])
    key, value = line.split(" = ")
    said = [one for one in result.stderr.splitlines() if "mount[1]" in one]
    assert said == ([f"pycast: {file}:7: mount[1].{key} = {value}: {why.format(folder)}"] if why else [])
    assert result.exit_code == bool(why)


@pytest.mark.parametrize(
    "more",
    [
        '[[relay]]\nserver = "x"\nmount = "/b.mp3"\n',
        '[[listen]]\nshoutcast_mount = "/b.mp3"\n',
        '[master]\nserver = "x"\npassword = "secret word"\n',
    ],
)
def test_a_fallback_may_be_a_mount_that_is_named_without_a_section(file: Path, more: str) -> None:
    mount = '[[mount]]\nmount_name = "/a"\nfallback_mount = "/b.mp3"\n'
    file.write_text(f'[paths]\nwebroot = "{file.parent}"\n{mount}{more}')
    result = CliRunner().invoke(main, ["check", str(file)])
    assert (result.exit_code, "fallback_mount" in result.stderr) == (0, False), result.stderr


def test_files_of_mounts_need_the_folder(file: Path) -> None:
    file.write_text('[[mount]]\nmount_name = "/a"\nfallback_mount = "/b.mp3"\nintro = "/i.mp3"\n')
    result = CliRunner().invoke(main, ["check", str(file)])
    assert "mount[0].intro" in result.stderr and "expected paths.webroot" in result.stderr
    assert "fallback_mount" not in result.stderr, "without the folder it is a mount"


def test_style_sheets_without_what_applies_them_are_warned_about(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(f'[paths]\nwebroot = "{file.parent}"\n')
    (file.parent / "status.xsl").touch()
    monkeypatch.setitem(sys.modules, "lxml.etree", None)
    assert "lxml" not in CliRunner().invoke(main, ["check", str(file)]).stderr, "the server's own page needs none"
    (file.parent / "own.xsl").touch()
    result = CliRunner().invoke(main, ["check", str(file)])
    assert "has own.xsl: style sheets need lxml: pip install lxml" in result.stderr
    assert result.exit_code == 0
    monkeypatch.undo()
    assert "lxml" not in CliRunner().invoke(main, ["check", str(file)]).stderr


def test_names_that_no_mount_can_have_are_problems(file: Path) -> None:
    file.write_text(
        '[[listen]]\nshoutcast_mount = "/sw.js"\n[[mount]]\nmount_name = "/live.mp3.m3u"\n'
        '[[mount]]\nmount_name = "/a/b c;*"\nfallback_mount = "/admin/x"\n[[mount]]\ntype = "default"\n'
    )
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 1
    assert [line.split(" = ")[0] for line in result.stderr.splitlines()[:3]] == [
        f"pycast: {file}:2: listen[0].shoutcast_mount",
        f"pycast: {file}:4: mount[0].mount_name",
        f"pycast: {file}:7: mount[1].fallback_mount",
    ]
    assert '"/live.mp3" has its playlist there' in result.stderr


def test_icecasts_file_is_checked_with_its_own_lines(tmp_path: Path) -> None:
    xml = tmp_path / "icecast.xml"
    xml.write_text(
        "<icecast>\n<hostname>radio.example</hostname>\n<surprise>1</surprise>\n<authentication>"
        "<source-password>long enough 1</source-password>\n<relay-password>long enough 2</relay-password>\n"
        "<admin-password>hackme</admin-password></authentication>\n<mount><mount-name>/a</mount-name></mount>\n"
        f"<logging><accesslog>{tmp_path}/a.log</accesslog></logging>\n"
        f"<paths><ssl-certificate>{tmp_path}/none</ssl-certificate></paths></icecast>"
    )
    result = CliRunner().invoke(main, ["check", str(xml)])
    assert (result.exit_code, result.stdout) == (0, f"ok  {xml}: port 8000, 1 mount\n")
    assert result.stderr.splitlines() == [
        f"warning: {xml}:3: left out: surprise = 1: pycast has no such setting",
        f'warning: {xml}:9: tls.certificate = "{tmp_path}/none": expected a readable file; '
        "plain connections are taken without it",
        f"warning: {xml}:6: authentication.admin_password is publicly known, so the admin is accepted from this "
        "machine only: set one that nobody can guess",
    ]
    xml.write_text(xml.read_text().replace("/a.log", "/no/a.log"))
    result = CliRunner().invoke(main, ["check", str(xml)])
    assert result.exit_code == 1
    note, problem, *_ = result.stderr.splitlines()
    assert note == f"warning: {xml}:3: left out: surprise = 1: pycast has no such setting"
    assert problem.startswith(f'pycast: {xml}:8: logging.access_log = "{tmp_path}/no/a.log": expected a file')


def test_user_that_this_machine_does_not_have_is_a_problem(file: Path) -> None:
    file.write_text('[security]\nuser = "no-such-user"\n')
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 1
    assert f'{file}:2: security.user = "no-such-user": expected a user of this machine' in result.stderr


def test_missing_file_is_a_problem(file: Path) -> None:
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 1
    assert "No such file" in result.stderr


def test_config_prints_the_default_file() -> None:
    assert CliRunner().invoke(main, ["config"]).stdout == default_toml()
    assert CliRunner().invoke(main, ["config", "--markdown"]).stdout == reference_markdown()


def test_fallback_in_icecasts_file_may_be_a_mount_without_a_section(file: Path) -> None:
    file.write_text(XML.format("", file.parent))
    result = CliRunner().invoke(main, ["check", str(file)])
    assert (result.exit_code, result.stdout) == (0, f"ok  {file}: port 8000, 1 mount\n")
    assert result.stderr.splitlines() == [
        f"warning: {file}:2: left out: so-sndbuf = 5: pycast has no such setting",
        f'warning: {file}:5: mount[0].fallback_mount = "/backup.mp3": expected a file below paths.webroot, or a mount '
        "that has a [[mount]] section",
    ]


def test_what_becomes_of_icecasts_file_is_said_beside_what_is_wrong(file: Path) -> None:
    file.write_text(XML.format("<intro>/no.mp3</intro>", file.parent))
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == 1
    left_out, wrong, *_ = result.stderr.splitlines()
    assert left_out == f"warning: {file}:2: left out: so-sndbuf = 5: pycast has no such setting"
    assert wrong.startswith(f'pycast: {file}:5: mount[0].intro = "/no.mp3": ')
