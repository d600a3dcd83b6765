"""Reads the <logging> of an icecast.xml: names of logs and their directory, levels, sizes, the switch for addresses.

Icecast 2.4 and 2.5 have one text for each log, icecast-kh also an element with settings of its own, of which the last
one is taken for all logs where pycast has one setting. Pure: nodes in, values and notes out.
"""

from pycast.config.icecast_settings import KEYS, SettingReader
from pycast.config.icecast_values import is_yes, log_file
from pycast.config.import_notes import described
from pycast.config.toml_table import TomlTable
from pycast.config.xml_tree import XmlNode

LOGS = ("accesslog", "errorlog", "playlistlog")

_OF_ONE_LOG = {"size": "logsize", "archive": "logarchive", "duration": "logduration"}
"""Elements that icecast-kh has in each log too, and those that they stand for."""


class LogReader:
    """Reads the logs into their table."""

    def __init__(self, settings: SettingReader, root: XmlNode, table: TomlTable) -> None:
        self._settings = settings
        self._root = root
        self._table = table

    def read(self, block: XmlNode) -> None:
        """Reads one <logging>."""
        for setting in block.inside():
            if setting.name in LOGS:
                self._read_log(setting)
            elif setting.name in KEYS["logging"]:
                self._settings.set("logging", self._table, setting)
            elif setting.name == "accesslog_ip":
                self._without_addresses(setting)

    def _read_log(self, log: XmlNode) -> None:
        """Reads the name of a log: the text, or as in icecast-kh an element or attribute in it."""
        try:
            file = log_of(self._settings, self._root, log)
        except ValueError as error:
            self._settings.leave_out(log, str(error))
        else:
            self._set_log(log, file)
        for inner in log.children:
            if inner.name == "level" and log.name == "errorlog":
                self._settings.set("logging", self._table, inner, "loglevel")
            elif inner.name == "ip" and log.name == "accesslog":
                self._without_addresses(inner)
            elif inner.name in _OF_ONE_LOG:
                self._settings.set("logging", self._table, inner, _OF_ONE_LOG[inner.name])

    def _set_log(self, log: XmlNode, file: str) -> None:
        key = KEYS["logging"][log.name].name
        why = self._settings.host.why_no_log(file) if file not in ("", "-") else ""
        if why:
            self._table.set_off(key, file, why)
            self._settings.leave_out(log, f"{why}; the line is commented out")
        elif self._table.values.get(key) != "":  # it may be off already, see below
            self._table.set(key, file, line=log.line)

    def read_of_mount(self, log: XmlNode, name: str) -> None:
        """Reads the access log of a mount; `name` is where it is, for a note."""
        try:
            file = log_of(self._settings, self._root, log)
        except ValueError as error:
            self._settings.leave_out(log, str(error))
            return
        no_ip = next((one for one in log.all("ip") if not is_yes(one.value())), None)
        why = self._settings.host.why_no_log(file) if file not in ("", "-") else ""
        if no_ip is not None:
            self._settings.close(no_ip, f"{name}: pycast writes addresses, shortened at least, so it has no access_log")
        elif why:
            self._settings.leave_out(log, why)
        else:
            self._table.set("access_log", file, line=log.line)

    def _without_addresses(self, switch: XmlNode) -> None:
        # icecast-kh writes "-". A part of the address, or a word for it, would be more than the operator wants.
        if not is_yes(switch.value()):
            self._table.set("access_log", "", f"closed: line {switch.line}")
            text = (
                f"{described(switch)}: pycast writes addresses, shortened at least, so access_log is off; "
                'see addresses = "truncate" and "hash"'
            )
            self._settings.close(switch, text)


def log_of(settings: SettingReader, root: XmlNode, log: XmlNode) -> str:
    """Returns the file of a log: the text, or as in icecast-kh an element or attribute in it. Raises ValueError."""
    log.inside()
    name = log.take("name") if log.find("name") else log.value()
    paths = [one for one in root.all("paths") if one.find("logdir")]
    directory = settings.filled(paths[-1].peek("logdir")) if paths else ""
    return str(KEYS["logging"][log.name].read(log_file(settings.filled(name), directory)))
