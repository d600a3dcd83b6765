"""Tests of pycast.config.icecast_directories: both forms become [[directory]] sections."""

from tests.config.imports import imported, left_out, result_of


def test_directories_of_icecast_2_4_come_over() -> None:
    config = imported(
        "<directory><yp-url>http://dir.xiph.org/cgi-bin/yp-cgi</yp-url><yp-url-timeout>15</yp-url-timeout>"
        "<touch-interval>300</touch-interval></directory><directory><yp-url>http://b.example/</yp-url>"
        "<yp-url-timeout>8</yp-url-timeout></directory>"
    )
    found = [(one.yp_url, one.yp_url_timeout, one.touch_interval) for one in config.directory]
    assert found == [("http://dir.xiph.org/cgi-bin/yp-cgi", 6.0, 300.0), ("http://b.example/", 8.0, 600.0)]


def test_address_without_a_scheme_is_one_of_http_as_for_libcurl() -> None:
    config = imported("<directory><yp-url>dir.xiph.org/cgi-bin/yp-cgi</yp-url></directory>")
    assert [one.yp_url for one in config.directory] == ["http://dir.xiph.org/cgi-bin/yp-cgi"]


def test_directories_of_icecast_2_5_come_over() -> None:
    config = imported(
        '<yp-directory url="https://dir.xiph.org/cgi-bin/yp-cgi"><option name="timeout" value="10"/>'
        '<option name="touch-interval" value="600"/></yp-directory>'
    )
    found = [(one.yp_url, one.yp_url_timeout, one.touch_interval) for one in config.directory]
    assert found == [("https://dir.xiph.org/cgi-bin/yp-cgi", 10.0, 600.0)]


def test_what_is_not_known_of_a_directory_is_named() -> None:
    xml = '<yp-directory url="http://a.example/"><option name="listen-socket" value="x"/></yp-directory>'
    (note,) = left_out(xml)
    assert "only the address, timeout and touch-interval are known" in note
    assert len(result_of(xml).directory) == 1


def test_a_directory_without_an_address_is_none() -> None:
    for xml in ("<directory><touch-interval>300</touch-interval></directory>", "<yp-directory/>"):
        assert "it has no address" in left_out(xml)[0]
        assert result_of(xml).directory == ()


def test_the_password_of_a_group_of_mounts_comes_over() -> None:
    config = imported("<mount><mount-name>/a</mount-name><cluster-password>cp</cluster-password></mount>")
    assert config.mount[0].cluster_password == "cp"
