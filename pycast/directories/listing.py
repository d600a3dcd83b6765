"""One mount in one directory: what it is to be told next, and when.

Pure: times are given. The times are Icecast's, which directories expect: a new source has to stay for a minute before
it is announced, and a directory that refuses or fails is left alone for long.

The one invariant: a mount without an entry is added, one with an entry is touched, and nothing comes before `due`.
"""

from pycast.directories.yp_forms import YpAnswer

ADD_S = 60.0
FIRST_TOUCH_S = 5.0
# A new title is told soon, but not each of several that come within a minute.
TITLE_S, TITLES_APART_S = 3.0, 60.0
ADD_REFUSED_S = 7200.0
TOUCH_REFUSED_S = 1200.0
FAILED_S, OTHERS_FAILED_S = 1200.0, 900.0


class YpEntry:
    """The state of one mount in one directory. `touch_s` is how often it is told, unless the directory says so."""

    def __init__(self, now: float, touch_s: float) -> None:
        self.sid = ""
        """The number of its entry; empty if it has none."""
        self.due = now + ADD_S
        self._touch_s = touch_s
        self._touched = now
        self._title = ""

    def on_title(self, title: str, now: float) -> None:
        """Takes note of what plays."""
        if self.sid and title != self._title:
            self.due = min(self.due, max(now + TITLE_S, self._touched + TITLES_APART_S))

    def on_added(self, answer: YpAnswer, now: float) -> None:
        """Takes the answer to an add."""
        if answer.is_yes and answer.sid:
            self.sid, self.due = answer.sid, now + FIRST_TOUCH_S
            self._touch_s = answer.touch_s or self._touch_s
        else:
            self.due = now + ADD_REFUSED_S

    def on_touched(self, answer: YpAnswer, title: str, now: float) -> None:
        """Takes the answer to a touch that said `title`. A directory that does not know the entry gets a new one."""
        if answer.is_yes:
            self._touch_s = answer.touch_s or self._touch_s
            self._touched, self._title, self.due = now, title, now + self._touch_s
        else:
            self.sid, self.due = "", now + TOUCH_REFUSED_S

    def on_failure(self, now: float) -> None:
        """Notes that the directory could not be asked. The entry may be gone when it can."""
        self.sid, self.due = "", now + FAILED_S

    def on_failure_of_another(self, now: float) -> None:
        """Notes that the directory could not be asked about another mount."""
        self.due = max(self.due, now) + OTHERS_FAILED_S
