"""Tests of pycast.web.manage_users: Icecast's answers, to the byte."""

from pathlib import Path

import pytest

from pycast.web.site import Site
from tests.stats.snapshots import mount, node
from tests.web.sites import ADMIN, PASSWORDS, SOURCE, FakeControl, ask, make_site, refusal, text_of

TOML = (
    PASSWORDS
    + """
[[mount]]
mount_name = "/live.mp3"
[mount.authentication]
type = "htpasswd"
filename = "FILE"
[[mount]]
mount_name = "/off.mp3"
[mount.authentication]
type = "htpasswd"
filename = "FILE"
[[mount]]
mount_name = "/url.mp3"
[mount.authentication]
type = "url"
listener_add = "http://x/"
[[mount]]
mount_name = "/open.mp3"
"""
)
AT = "/admin/manageauth?mount=/live.mp3"
HEAD = '<?xml version="1.0"?>\n<icestats><source mount="/live.mp3"'


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "users").write_text("# staff\nann:0cc175b9c0f1b6a831c399e269772661\n")
    return make_site(FakeControl(node(mount())), toml=TOML.replace("FILE", str(tmp_path / "users")))


def answer(site: Site, more: str = "", authorization: str = ADMIN) -> str:
    response = ask(site, AT + more, authorization=authorization)
    assert (response.status, response.content_type) == (200, "text/xml; charset=utf-8")
    return text_of(response)


def test_users_are_listed_without_their_hashes(site: Site) -> None:
    expected = f"{HEAD}><User><username>ann</username></User></source></icestats>\n"
    assert answer(site) == answer(site, "&action=list") == expected


def test_users_are_added_and_deleted_and_the_list_is_the_new_one(site: Site) -> None:
    ann, bob = (f"<User><username>{name}</username></User>" for name in ("ann", "bob"))
    said = "<iceresponse><message>%s</message></iceresponse>"
    added = answer(site, "&action=add&username=bob&password=b")
    assert added == f"{HEAD}>{ann}{bob}</source>{said % 'User added'}</icestats>\n"
    again = answer(site, "&action=add&username=bob&password=c")
    assert again == f"{HEAD}>{ann}{bob}</source>{said % 'User already exists - not added'}</icestats>\n"
    answer(site, "&action=delete&username=ann")
    gone = answer(site, "&action=delete&username=bob")
    assert gone == f"{HEAD}/>{said % 'User deleted'}</icestats>\n"
    none = answer(site, "&action=delete&username=bob")
    assert f"{said % 'User delete failed - check the icecast error log'}" in none
    bad = answer(site, "&action=add&username=a%3Ab&password=b")
    assert f"{said % 'User add failed - check the icecast error log'}" in bad


@pytest.mark.parametrize("more", ["", "&username=bob", "&password=b", "&username=&password=b", "&username=b&password="])
def test_user_without_a_name_or_a_password_is_not_added(site: Site, more: str) -> None:
    assert refusal(site, f"{AT}&action=add{more}", authorization=ADMIN) == (400, "missing parameter")


def test_role_of_icecast_25_is_the_mount_that_has_it(site: Site) -> None:
    # The server has three; a mount's users and its other listeners are two.
    for id, name in ((3, "live"), (5, "off")):
        response = ask(site, f"/admin/manageauth?id={id}&action=add&username=cy&password=c", authorization=ADMIN)
        assert f'<source mount="/{name}.mp3">' in text_of(response)


@pytest.mark.parametrize("id", ["0", "4", "7", "99", "-1", "x", "03"])
def test_role_that_is_none_of_a_file_is_not_found(site: Site, id: str) -> None:
    assert refusal(site, f"/admin/manageauth?id={id}&action=list", authorization=ADMIN) == (404, "Role not found")
    assert refusal(site, f"/admin/manageauth?id={id}&action=list")[0] == 401


def test_without_a_mount_and_a_role_there_is_nothing_to_manage(site: Site) -> None:
    assert refusal(site, "/admin/manageauth", authorization=ADMIN) == (400, "Unknown admin request")


def test_user_is_not_deleted_without_a_name(site: Site) -> None:
    assert refusal(site, f"{AT}&action=delete", authorization=ADMIN) == (400, "missing parameter")


def test_form_may_be_posted(site: Site) -> None:
    response = ask(site, AT, method="POST", body=b"action=add&username=bob&password=b", authorization=ADMIN)
    assert "User added" in text_of(response)


@pytest.mark.parametrize("action", ["list", "add", "delete"])
@pytest.mark.parametrize("authorization", ["", "Basic YWRtaW46d3Jvbmc=", "Basic cmVsYXk6cnA="])
def test_only_the_admin_and_the_mounts_source_may(site: Site, action: str, authorization: str) -> None:
    target = f"{AT}&action={action}&username=bob&password=b"
    assert refusal(site, target, authorization=authorization)[0] == 401
    assert "bob" not in answer(site, authorization=SOURCE)


def test_users_of_a_mount_without_a_source_are_managed_too(site: Site) -> None:
    response = ask(site, "/admin/manageauth?mount=/off.mp3", authorization=ADMIN)
    assert '<source mount="/off.mp3"><User>' in text_of(response)


def test_mounts_without_users_have_none(site: Site) -> None:
    def refused(mount: str, more: str = "") -> tuple[int, str]:
        return refusal(site, f"/admin/manageauth?mount={mount}{more}", authorization=ADMIN)

    assert refused("/open.mp3") == (400, "missing parameter")
    assert refused("/none.mp3") == (400, "Source does not exist")
    assert refused("/url.mp3", "&action=add&username=a&password=b")[0] == 501
    assert refused("/url.mp3", "&action=delete&username=a")[0] == 501
    response = ask(site, "/admin/manageauth?mount=/url.mp3", authorization=ADMIN)
    assert text_of(response).endswith('<icestats><source mount="/url.mp3"/></icestats>\n')
