"""Tests of pycast.web.route: which credentials have access, and what a row answers without."""

from base64 import b64encode

import pytest

from pycast.auth.logins import MOST, TooManyLogins
from pycast.errors import Refused
from pycast.http.response import Response
from pycast.web import route as kinds
from pycast.web.route import LISTENERS, Access, Call, Route, has_access, shoutcast_login
from pycast.web.site import Site
from tests.web.sites import ADMIN, DOOR, PASSWORDS, RELAY, SOURCE, make_request, make_site, text_of

OWN = "Basic c291cmNlOm93bg=="  # source:own
TOML = PASSWORDS + "[[mount]]\nmount_name = '/own'\npassword = 'own'\n"
WITH_PORT = TOML + "[[listen]]\nport = 8000\nshoutcast_mount = '/sc'\n"


def call(authorization: str = "", site: Site | None = None, **parameters: str) -> Call:
    request = make_request("/page", authorization=authorization)
    found = {name: text.encode() for name, text in parameters.items()}
    return Call(site or make_site(toml=TOML), request, found, DOOR)


def say(text: str) -> Response:
    return Response(200, text.encode())


@pytest.mark.parametrize(
    ("access", "good"),
    [
        (Access.ALL, {"", ADMIN, RELAY, SOURCE, OWN}),
        (Access.ADMIN, {ADMIN}),
        (Access.RELAY, {ADMIN, RELAY}),
        (Access.SOURCE, {ADMIN, OWN}),
        (Access.SHOUTCAST_SOURCE, set()),
    ],
)
def test_each_access_is_given_to_its_own_credentials(access: Access, good: set[str]) -> None:
    every = ("", ADMIN, RELAY, SOURCE, OWN)
    assert {one for one in every if has_access(access, call(one, mount="/own"))} == good


def test_a_port_without_admin_does_not_know_the_admins_password() -> None:
    door = DOOR._replace(serves=frozenset({"sources", "listeners", "metrics"}))
    for access in (Access.SOURCE, Access.RELAY):
        assert has_access(access, call(ADMIN, mount="/own"))
        assert not has_access(access, call(ADMIN, mount="/own")._replace(door=door))
    assert has_access(Access.SOURCE, call(OWN, mount="/own")._replace(door=door))
    assert has_access(Access.ADMIN, call(ADMIN)._replace(door=door)), "where metrics are served"


@pytest.mark.parametrize("access", [access for access in Access if access is not Access.ALL])
def test_without_any_password_in_the_configuration_only_sources_have_access(access: Access) -> None:
    site = make_site(toml="")
    for authorization in ("Basic YWRtaW46", "Basic cmVsYXk6", "Basic Og=="):  # admin: and relay: and nobody
        assert not has_access(access, call(authorization, site, mount="/x"))


@pytest.mark.parametrize(
    ("parameters", "login"),
    [
        ({"pass": "p", "mount": "/own"}, ("/own", "p")),
        ({"pass": "/own:p", "mount": "/x"}, ("/own", "p")),
        ({"pass": "p:q"}, ("/sc", "p:q")),
        ({}, ("/sc", "")),
    ],
)
def test_a_shoutcast_encoder_means_a_mount_and_a_password(parameters: dict[str, str], login: tuple[str, str]) -> None:
    assert shoutcast_login(call("", make_site(toml=WITH_PORT), **parameters)) == login


@pytest.mark.parametrize(("password", "is_good"), [("own", True), ("hackme", False), ("", False)])
def test_a_shoutcast_source_has_the_password_of_its_mount(password: str, is_good: bool) -> None:
    assert has_access(Access.SHOUTCAST_SOURCE, call("", None, mount="/own", **{"pass": password})) is is_good


def test_those_without_access_are_refused_or_get_their_own_answer() -> None:
    refusing = Route("/page", lambda call: say("all"), kinds.ADMIN, Access.ADMIN)
    assert text_of(refusing.answer(call(ADMIN))) == "all"
    assert not refusing.is_public
    with pytest.raises(Refused) as refused:
        refusing.answer(call(SOURCE, mount="/own"))
    assert (refused.value.status, str(refused.value)) == (401, "wrong credentials for /page for /own")
    showing_less = refusing._replace(for_others=lambda call: say("less"))
    assert [text_of(showing_less.answer(call(one))) for one in (ADMIN, "", "Basic x")] == ["all", "less", "less"]
    assert showing_less.is_public


def test_before_access_is_checked_before_the_credentials() -> None:
    def refuse(call: Call) -> None:
        raise Refused("No such action", status=400)

    route = Route("/page", lambda call: say("all"), kinds.ADMIN, Access.ADMIN, before_access=refuse)
    with pytest.raises(Refused, match="No such action"):
        route.answer(call())


def test_scope_node_is_about_this_node_alone() -> None:
    site = make_site(cluster_wide=make_site().local)
    assert call("", site).control is site.cluster_wide
    assert call("", site, scope="node").control is site.local
    assert call("", site, scope="x").control is site.cluster_wide


FAR = DOOR._replace(ip="203.0.113.7", is_local=False)


@pytest.mark.parametrize("password", ["hackme", "change me 3", "admin"])
def test_an_admin_password_that_everybody_knows_admits_from_this_machine_only(password: str) -> None:
    known = make_site(toml=f'[authentication]\nadmin_password = "{password}"\n')
    login = f"Basic {b64encode(f'admin:{password}'.encode()).decode()}"
    assert has_access(Access.ADMIN, call(login, known))
    for access in (Access.ADMIN, Access.SOURCE, Access.RELAY):
        with pytest.raises(Refused, match="publicly known") as refused:
            has_access(access, call(login, known, mount="/x")._replace(door=FAR))
        assert refused.value.status == 403
        assert "Set authentication.admin_password" in refused.value.public
    assert not has_access(Access.ADMIN, call("Basic YWRtaW46eA==", known)._replace(door=FAR))
    assert has_access(Access.SOURCE, call(SOURCE, known, mount="/x")._replace(door=FAR)), "the source is no admin"
    assert has_access(Access.ADMIN, call(ADMIN)._replace(door=FAR)), "a password of one's own admits from everywhere"


GUESS = "Basic YWRtaW46Z3Vlc3M="  # admin:guess


@pytest.mark.parametrize(
    ("access", "parameters"),
    [
        (Access.ADMIN, {}),
        (Access.RELAY, {}),
        (Access.SOURCE, {"mount": "/own"}),
        (Access.SHOUTCAST_SOURCE, {"mount": "/own", "pass": "guess"}),
    ],
)
def test_guesses_of_every_kind_are_counted_and_end(access: Access, parameters: dict[str, str]) -> None:
    site = make_site(toml=TOML)
    guess = call(GUESS, site, **parameters)._replace(door=FAR)
    for _ in range(MOST):
        assert not has_access(access, guess)
    with pytest.raises(TooManyLogins):
        has_access(access, guess)
    assert site.counters.failed_logins == MOST
    assert has_access(Access.ADMIN, call(ADMIN, site)), "from another address"


def test_without_credentials_nothing_is_counted() -> None:
    site = make_site(toml=TOML)
    assert not any(has_access(Access.ADMIN, call("", site)) for _ in range(50))
    assert site.counters.failed_logins == 0


def test_what_is_public_stays_so_for_an_address_that_guesses() -> None:
    site = make_site(toml=TOML)
    route = Route("/page", lambda call: say("all"), kinds.METRICS, Access.ADMIN, for_others=lambda call: say("less"))
    assert {text_of(route.answer(call(GUESS, site))) for _ in range(50)} == {"less"}
    assert text_of(route.answer(call(ADMIN, site))) == "less"
    assert site.counters.failed_logins == MOST


@pytest.mark.parametrize("access", [access for access in Access if access is not Access.ALL])
@pytest.mark.parametrize("authorization", ["", ADMIN, OWN, "Basic YWRtaW46d3Jvbmc="])
def test_a_foreign_page_gets_the_same_refusal_whatever_the_password(access: Access, authorization: str) -> None:
    asked = call(authorization, None, mount="/own", **{"pass": "own"})
    asked = asked._replace(request=asked.request._replace(is_cross_site=True))
    with pytest.raises(Refused, match="a page of another site") as refused:
        Route("/page", lambda call: say("done"), LISTENERS, access).answer(asked)
    assert refused.value.status == 403
    assert "another web site" in refused.value.public
    assert asked.site.counters.cross_site_requests == 1


def test_a_foreign_page_gets_what_everybody_gets_even_with_the_admins_password() -> None:
    asked = call(ADMIN)
    asked = asked._replace(request=asked.request._replace(is_cross_site=True))
    row = Route("/page", lambda call: say("all"), LISTENERS, Access.ADMIN, for_others=lambda call: say("public part"))
    assert text_of(row.answer(asked)) == "public part"
    assert text_of(Route("/page", lambda call: say("open"), LISTENERS).answer(asked)) == "open"
