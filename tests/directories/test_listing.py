"""Tests of pycast.directories.listing: when a directory is told what."""

from pycast.directories.listing import YpEntry
from pycast.directories.yp_forms import YpAnswer

YES = YpAnswer(True, "", "sid", 200.0)
NO = YpAnswer(False, "no")


def listed(now: float = 0.0) -> YpEntry:
    listing = YpEntry(now, 600.0)
    listing.on_added(YES, now + 60)
    listing.on_touched(YES, "one", now + 65)
    return listing


def test_a_source_is_announced_after_a_minute_and_touched_soon_after() -> None:
    listing = YpEntry(100.0, 600.0)
    assert (listing.sid, listing.due) == ("", 160.0)
    listing.on_added(YES, 161.0)
    assert (listing.sid, listing.due) == ("sid", 166.0)
    listing.on_touched(YpAnswer(True, ""), "one", 167.0)
    assert listing.due == 367.0, "as often as the directory has said"


def test_a_directory_that_does_not_say_how_often_is_told_as_often_as_configured() -> None:
    listing = YpEntry(0.0, 600.0)
    listing.on_added(YpAnswer(True, "", "sid"), 60.0)
    listing.on_touched(YpAnswer(True, ""), "", 65.0)
    assert listing.due == 665.0


def test_a_new_title_is_told_in_seconds_but_not_each_of_several() -> None:
    listing = listed()
    listing.on_title("one", 200.0)
    assert listing.due == 265.0
    listing.on_title("two", 200.0)
    assert listing.due == 203.0
    listing.on_touched(YES, "two", 203.0)
    listing.on_title("three", 210.0)
    assert listing.due == 263.0


def test_a_title_before_the_entry_is_no_reason_to_hurry() -> None:
    listing = YpEntry(0.0, 600.0)
    listing.on_title("one", 5.0)
    assert listing.due == 60.0


def test_a_directory_that_refuses_is_left_alone_for_long() -> None:
    listing = YpEntry(0.0, 600.0)
    listing.on_added(NO, 60.0)
    assert (listing.sid, listing.due) == ("", 7260.0)
    listing.on_added(YpAnswer(True, "without a number"), 7260.0)
    assert (listing.sid, listing.due) == ("", 14_460.0)


def test_an_entry_that_is_unknown_is_made_anew() -> None:
    listing = listed()
    listing.on_touched(NO, "one", 300.0)
    assert (listing.sid, listing.due) == ("", 1500.0)


def test_a_failure_postpones_its_mount_and_the_others() -> None:
    one, other = listed(), listed()
    one.on_failure(300.0)
    assert (one.sid, one.due) == ("", 1500.0)
    other.on_failure_of_another(300.0)
    assert (other.sid, other.due) == ("sid", 1200.0)
