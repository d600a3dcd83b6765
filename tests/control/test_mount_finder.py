"""A path leads to one mount, wherever its source is: on this node, on another one, or along its chain of fallbacks."""

from collections.abc import Callable
from itertools import pairwise

from pycast.control.mount_finder import LONGEST_CHAIN
from pycast.stream.mount import Mount
from tests.control.stage import FakeMirrors, stage

CHAIN = "".join(
    f'[[mount]]\nmount_name = "/{name}"\nfallback_mount = "/{fallback}"\n' for name, fallback in ("ab", "bc", "cd")
)
CIRCLE = CHAIN + '[[mount]]\nmount_name = "/d"\nfallback_mount = "/a"\n'


def test_a_live_mount_is_found_by_its_name_and_an_unknown_one_not_at_all() -> None:
    with stage() as node:
        mount = node.begin("/a")
        assert node.finder.find("/a") is mount
        assert node.finder.find("/none") is None


def test_without_a_source_the_first_live_fallback_is_found() -> None:
    with stage(CHAIN) as node:
        last = node.begin("/d")
        assert node.finder.find("/a") is last
        nearer = node.begin("/c")
        assert node.finder.find("/a") is nearer


def test_a_mount_that_waits_is_found_while_no_fallback_has_a_source() -> None:
    with stage(CHAIN) as node:
        mount = node.begin("/a")
        node.end("/a")
        assert node.finder.find("/a") is mount
        assert node.finder.live("/a") is None
        fallback = node.begin("/b")
        assert node.finder.find("/a") is fallback


def test_a_circle_of_fallbacks_comes_to_an_end() -> None:
    with stage(CIRCLE) as node:
        assert node.finder.find("/a") is None


def test_a_chain_is_followed_as_far_as_icecast_does() -> None:
    names = [f"/{number}" for number in range(LONGEST_CHAIN + 1)]
    toml = "".join(f'[[mount]]\nmount_name = "{one}"\nfallback_mount = "{other}"\n' for one, other in pairwise(names))
    with stage(toml) as node:
        node.begin(names[LONGEST_CHAIN])
        assert node.finder.live(names[0]) is None
        last = node.begin(names[LONGEST_CHAIN - 1])
        assert node.finder.live(names[0]) is last


def test_a_mirror_that_is_still_behind_is_waited_for() -> None:
    mirrors = FakeMirrors()
    with stage(CHAIN, mirrors) as node:
        mirrors.live["/b"] = node.begin("/b")
        node.finder.on_any_node("/b")
        assert mirrors.opened == []
        mirrors.beginning.add("/b")
        assert node.finder.on_any_node("/b") is mirrors.live["/b"]
        assert mirrors.opened == ["/b"]


def test_a_mount_of_another_node_is_found_as_its_mirror() -> None:
    mirrors = FakeMirrors()
    with stage(CHAIN, mirrors) as node:
        mirrors.live["/b"] = mirror = node.begin("/copy")
        assert node.finder.find("/b") is mirror
        assert node.finder.find("/a") is mirror
        assert node.finder.has_source("/b") and not node.finder.has_source("/c")
        assert node.finder.on_this_node("/b") is None


def test_a_node_that_does_not_answer_is_waited_for_only_if_there_is_nothing_else_to_hear() -> None:
    mirrors = FakeMirrors()
    with stage(CHAIN, mirrors) as node:
        mirrors.live |= dict.fromkeys(("/a", "/b", "/c", "/d"))
        assert node.finder.find("/a") is None
        assert (mirrors.opened, mirrors.patient) == (["/a", "/b", "/c", "/d"], ["/d"])


def test_a_mount_of_this_node_is_not_mirrored() -> None:
    mirrors = FakeMirrors()
    with stage("", mirrors) as node:
        mount = node.begin("/a")
        mirrors.live["/a"] = None
        assert node.finder.find("/a") is mount
        assert mirrors.opened == []


class SlowMirrors(FakeMirrors):
    """Mirrors that take so long that something else happens meanwhile."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self.meanwhile = meanwhile
        self.live = {"/b": None}

    def open(self, name: str, *, has_other: bool) -> Mount | None:
        found = super().open(name, has_other=has_other)
        if name == "/b":
            self.meanwhile()
        return found


def test_a_mount_that_ends_while_its_fallback_is_looked_for_is_not_found() -> None:
    mirrors = SlowMirrors(lambda: node.mounts.close("/a"))
    with stage(CHAIN, mirrors) as node:
        node.begin("/a")
        node.end("/a")
        assert node.finder.find("/a") is None
        assert "/b" in mirrors.opened


def test_a_mount_that_has_its_source_again_when_its_fallback_is_found_is_found_itself() -> None:
    mirrors = SlowMirrors(lambda: node.begin("/a"))
    with stage(CHAIN, mirrors) as node:
        mount = node.begin("/a")
        fallback = node.begin("/c")
        node.end("/a")
        assert node.finder.find("/a") is mount is not fallback


def test_a_mount_exists_here_elsewhere_or_in_the_configuration_by_its_name() -> None:
    toml = CHAIN + '[[mount]]\nmount_name = "/p/*"\n[[listen]]\nshoutcast_mount = "/sc"\n'
    mirrors = FakeMirrors()
    with stage(toml, mirrors) as node:
        node.begin("/here")
        mirrors.live["/there"] = node.begin("/x")
        for name in ("/here", "/there", "/a", "/sc"):
            assert node.finder.is_known(name) and node.finder.may_be_heard(name), name
        for name in ("/none", "/p/x", "/"):
            assert not node.finder.is_known(name) and not node.finder.may_be_heard(name), name
        assert mirrors.opened == [], "nothing is fetched for it"


def test_a_mount_with_a_fallback_may_be_heard() -> None:
    with stage('[[mount]]\ntype = "default"\nfallback_mount = "/always"\n') as node:
        assert not node.finder.may_be_heard("/any"), "not before the fallback has a source, either"
        node.begin("/always")
        assert node.finder.may_be_heard("/any") and not node.finder.is_known("/any")


def test_a_players_path_means_a_mount_of_that_name_first() -> None:
    with stage('[[listen]]\nshoutcast_mount = "/sc"\n') as node:
        assert node.finder.meant_by("/;stream.mp3") == "/sc"
        assert node.finder.meant_by("/stream/1/") == "/sc"
        assert node.finder.meant_by("/live.mp3;") == "/live.mp3;", "nobody knows it"
        node.begin("/live.mp3")
        assert node.finder.meant_by("/live.mp3;") == node.finder.meant_by("/live.mp3/;x.nsv") == "/live.mp3"
        for name in ("/;", "/stream/1/", "/live.mp3/", "/live.mp3;"):
            node.begin(name)
            assert node.finder.meant_by(name) == name
        assert node.finder.meant_by("/live.mp3/;x.nsv") == "/live.mp3/"


def test_a_mount_whose_fallback_plays_in_its_place_is_told() -> None:
    with stage(CHAIN) as node:
        assert node.finder.played_by_others() == []
        node.begin("/d")
        assert node.finder.played_by_others() == ["/a", "/b", "/c"]
        node.begin("/b")
        assert node.finder.played_by_others() == ["/a", "/c"]
