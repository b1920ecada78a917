"""Where a URL points: nothing forged passes for a place that is sent a credential."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.locations import AllowList, ContainerUrl, Place, allow_list, is_media_location

ACCOUNT = "https://acc.blob.core.windows.net"
RECORDINGS = ContainerUrl.parse(f"{ACCOUNT}/recordings")
TEAM = ContainerUrl.parse(f"{ACCOUNT}/shared/team/a")
ALLOWED = allow_list([RECORDINGS, TEAM, RECORDINGS])
MEDIA = "https://us-api.asm.skype.com/v1/objects/0-eus-d1-8/content/video"

FORGED_MEDIA = [
    "",
    "not a url",
    "http://us-api.asm.skype.com/v1/x",
    "ftp://us-api.asm.skype.com/v1/x",
    "//us-api.asm.skype.com/v1/x",
    "https:/us-api.asm.skype.com/v1/x",
    "https:///v1/x",
    "https://asm.skype.com/v1/x",
    "https://us-api.asm.skype.com.evil/v1/x",
    "https://us-api.asm.skype.com.evil.example/v1/x",
    "https://evil-asm.skype.com/v1/x",
    "https://evilasm.skype.com/v1/x",
    "https://us-api.asm.skype.com./v1/x",
    "https://.asm.skype.com/v1/x",
    "https://us-api.asm.skype.com:8443/v1/x",
    "https://us-api.asm.skype.com:0/v1/x",
    "https://us-api.asm.skype.com:99999/v1/x",
    "https://us-api.asm.skype.com:x/v1/x",
    "https://user@us-api.asm.skype.com/v1/x",
    "https://user:pw@us-api.asm.skype.com/v1/x",
    "https://@us-api.asm.skype.com/v1/x",
    "https://us-api.asm.skype.com@evil.example/v1/x",
    "https://us-api.asm.skype.com:443@evil.example/v1/x",
    "https://evil.example#.asm.skype.com/v1/x",
    "https://evil.example?.asm.skype.com/v1/x",
    "https://evil.example/.asm.skype.com",
    "https://evil.example\\.asm.skype.com/v1/x",
    "https://evil.example\\@us-api.asm.skype.com/v1/x",
    "https://us-api.asm.skype.com\\@evil.example/v1/x",
    "https://evil.example%2f.asm.skype.com/v1/x",
    "https://evil.example%00.asm.skype.com/v1/x",
    "https://evil.example／.asm.skype.com/v1/x",  # noqa: RUF001 - a look-alike is the point
    "https://еvil.asm.skype.com/v1/x",  # noqa: RUF001 - a Cyrillic letter
    "https://us-api.ａsm.skype.com/v1/x",  # noqa: RUF001 - a full-width letter
    "https://us-api.xn--asm-9ka.skype.com/v1/x",
    "https://us api.asm.skype.com/v1/x",
    "https://us-api.asm.skype.com /v1/x",
    "https://us-api.asm.skype.com\n.evil.example/v1/x",
    "https://us-api.asm.skype.com/v1/\r\nHost: evil.example",
    "https://us-api.asm.skype.com/v1/\x00",
    "\thttps://us-api.asm.skype.com/v1/x",
    "https://us-api.asm.skype.com/v1/\x7f",
    "https://127.0.0.1/v1/x",
    "https://2130706433/v1/x",
    "https://[::1]/v1/x",
    "https://[::1].asm.skype.com/v1/x",
    "https://[us-api.asm.skype.com/v1/x",
    "https://169.254.169.254/metadata/identity",
    "https://us_api.asm.skype.com:/../../v1",
    "https://us-api.asm.skype.com/" + "x" * 9000,
]


@pytest.mark.parametrize("url", FORGED_MEDIA)
def test_a_forged_media_location_is_never_one(url: str) -> None:
    assert not is_media_location(url)
    assert ALLOWED.classify(url) in (Place.FOREIGN, Place.OTHER_BLOB)


@pytest.mark.parametrize(
    "url",
    [
        MEDIA,
        "https://us-api.asm.skype.com:443/v1/x",
        "HTTPS://US-API.ASM.SKYPE.COM/v1/x",
        "https://eu.asyncgw.teams.microsoft.com/v1/x?q=1",
        "https://a.b.asyncgw.teams.microsoft.com/v1/x",
        "https://gcch.ams.gov.teams.microsoft.us/v1/x",
    ],
)
def test_the_media_hosts_of_acs_are_known(url: str) -> None:
    assert is_media_location(url)
    assert ALLOWED.classify(url) is Place.MEDIA


@given(st.text(max_size=60))
def test_no_text_before_or_after_the_host_makes_a_foreign_host_ours(text: str) -> None:
    """Whatever stands around it, the host that would be connected to decides."""
    for url in (f"https://{text}asm.skype.com/x", f"https://us.asm.skype.com{text}/x", f"https://e.example/{text}"):
        if is_media_location(url):
            host = urlsplit(url).hostname or ""
            assert host.endswith((".asm.skype.com", ".asyncgw.teams.microsoft.com", ".ams.gov.teams.microsoft.us"))
            assert host.isascii()
            assert "@" not in urlsplit(url).netloc


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "absolute URL"),
        ("recordings", "absolute URL"),
        (f"{ACCOUNT}/re cordings", "absolute URL"),
        ("https://user:pw@acc.blob.core.windows.net/recordings", "userinfo"),
        (f"{ACCOUNT}/recordings?sv=1&sig=secret", "no query"),
        (f"{ACCOUNT}/recordings?", "no query"),
        (f"{ACCOUNT}/recordings#x", "no fragment"),
        (f"{ACCOUNT}/recordings#", "no fragment"),
        ("http://acc.blob.core.windows.net/recordings", "https"),
        ("ftp://127.0.0.1/dev/recordings", "https"),
        (ACCOUNT, "name a container"),
        (f"{ACCOUNT}/", "name a container"),
        ("http://127.0.0.1:10000/", "account and a container"),
        ("http://127.0.0.1:10000/DEV%20/recordings", "account and a container"),
        ("http://127.0.0.1:10000/dev", "name a container"),
        (f"{ACCOUNT}/Recordings", "3 to 63"),
        (f"{ACCOUNT}/re", "3 to 63"),
        (f"{ACCOUNT}/re--cordings", "3 to 63"),
        (f"{ACCOUNT}/-recordings", "3 to 63"),
        (f"{ACCOUNT}/{'r' * 64}", "3 to 63"),
        (f"{ACCOUNT}/recordings/..", "plain path"),
        (f"{ACCOUNT}/recordings/a/../b", "plain path"),
        (f"{ACCOUNT}/recordings/%2e%2e/b", "plain path"),
        (f"{ACCOUNT}/recordings/a%2Fb", "plain path"),
        (f"{ACCOUNT}/recordings/a%5Cb", "plain path"),
        (f"{ACCOUNT}/recordings/a%00b", "plain path"),
        (f"{ACCOUNT}/recordings/a%0D%0Ab", "plain path"),
        (f"{ACCOUNT}/recordings/{'p' * 513}", "at most 512"),
    ],
)
def test_a_container_url_that_cannot_be_used_says_why(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ContainerUrl.parse(url)


@pytest.mark.parametrize(
    ("url", "account", "container", "prefix"),
    [
        (f"{ACCOUNT}/recordings", ACCOUNT, "recordings", ""),
        (f"{ACCOUNT}//recordings//a/b/", ACCOUNT, "recordings", "a/b"),
        ("HTTPS://ACC.blob.core.windows.net/$root/a", ACCOUNT, "$root", "a"),
        (f"{ACCOUNT}/recordings/my%20place", ACCOUNT, "recordings", "my place"),
        (
            "http://127.0.0.1:10000/devstoreaccount1/rec/a",
            "http://127.0.0.1:10000/devstoreaccount1",
            "rec",
            "a",
        ),
        ("http://localhost:1/dev/rec", "http://localhost:1/dev", "rec", ""),
        ("http://[::1]:1/dev/rec", "http://[::1]:1/dev", "rec", ""),
    ],
)
def test_a_container_url_is_taken_apart(url: str, account: str, container: str, prefix: str) -> None:
    assert ContainerUrl.parse(url) == ContainerUrl(account, container, prefix)


_PLACE = st.lists(
    st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=12).filter(
        lambda part: part.isprintable() and part not in (".", "..") and not set(part) & set("/\\")
    ),
    max_size=4,
)


@given(_PLACE)
def test_a_container_url_reads_back_as_the_same_place(place: list[str]) -> None:
    """The ledger keeps it as text: blanks, question marks and percent signs in a place must survive that."""
    container = ContainerUrl(ACCOUNT, "recordings", "/".join(place))
    assert ContainerUrl.parse(str(container)) == container
    assert str(container).isascii()


def test_the_longest_place_of_any_letters_reads_back() -> None:
    container = ContainerUrl(ACCOUNT, "recordings", "\U0001f4de" * 512)
    assert ContainerUrl.parse(str(container)) == container


def test_a_blob_url_is_what_a_browser_would_open() -> None:
    url = RECORDINGS.blob_url("20261122/call/eyJQbGF0-1/0-audiomp3.a~b.mp3")
    assert url == f"{ACCOUNT}/recordings/20261122/call/eyJQbGF0-1/0-audiomp3.a~b.mp3"
    assert RECORDINGS.blob_url("a b?c") == f"{ACCOUNT}/recordings/a%20b%3Fc"


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        (f"{ACCOUNT}/recordings", True),
        (f"{ACCOUNT}/recordings/any/where", True),
        (f"{ACCOUNT}/shared/team/a", True),
        (f"{ACCOUNT}/shared/team/a/deeper", True),
        (f"{ACCOUNT}/shared/team/ab", False),
        (f"{ACCOUNT}/shared/team", False),
        (f"{ACCOUNT}/shared", False),
        (f"{ACCOUNT}:443/recordings", True),
        (f"{ACCOUNT}/recordings2", False),
        ("https://acc2.blob.core.windows.net/recordings", False),
        ("https://acc.blob.core.windows.net.evil.example/recordings", False),
    ],
)
def test_recordings_go_to_places_on_the_list_and_below_them_only(*, url: str, is_allowed: bool) -> None:
    assert ALLOWED.allows(ContainerUrl.parse(url)) is is_allowed


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (None, Place.FOREIGN),
        ("", Place.FOREIGN),
        (f"{ACCOUNT}/recordings/20261122/c/x/0-audiomp3.mp3", Place.DESTINATION),
        (f"{ACCOUNT}/shared/team/a/20261122/x.mp3", Place.DESTINATION),
        (f"{ACCOUNT}/shared/team/a", Place.OTHER_BLOB),  # the place itself is no blob
        (f"{ACCOUNT}/shared/team/b/x.mp3", Place.OTHER_BLOB),
        (f"{ACCOUNT}/recordings", Place.OTHER_BLOB),
        (f"{ACCOUNT}/recordings/x.mp3?sig=secret", Place.OTHER_BLOB),
        ("https://other.blob.core.windows.net/recordings/x.mp3", Place.OTHER_BLOB),
        ("https://other.blob.core.usgovcloudapi.net/r/x.mp3", Place.OTHER_BLOB),
        ("https://other.z1.blob.storage.azure.net/r/x.mp3", Place.OTHER_BLOB),
        ("http://acc.blob.core.windows.net/recordings/x.mp3", Place.FOREIGN),
        ("https://blob.core.windows.net.evil.example/r/x.mp3", Place.FOREIGN),
        ("file:///etc/passwd", Place.FOREIGN),
        (MEDIA, Place.MEDIA),
    ],
)
def test_a_location_is_classified_by_where_it_points(url: str | None, place: Place) -> None:
    assert ALLOWED.classify(url) is place


def test_a_blob_is_located_with_its_full_name() -> None:
    found = ALLOWED.locate(f"{ACCOUNT}/shared/team/a/2026%201/x.mp3")
    assert found is not None
    assert (found.place, found.name) == (TEAM, "team/a/2026 1/x.mp3")


def test_a_blob_name_may_be_longer_than_a_place() -> None:
    """A long place leaves names of up to 1024 characters below it."""
    name = "p" * 512 + "/" + "x" * 400
    found = ALLOWED.locate(f"{ACCOUNT}/recordings/{name}")
    assert found is not None
    assert found.name == name
    assert ALLOWED.locate(f"{ACCOUNT}/recordings/{'x' * 1025}") is None


@given(st.text(max_size=200))
def test_any_text_is_classified_without_an_error(text: str) -> None:
    for url in (text, f"https://{text}", f"{ACCOUNT}/recordings/{text}", f"{ACCOUNT}/{text}", f"{ACCOUNT}{text}"):
        place = ALLOWED.classify(url)
        if place is Place.DESTINATION:
            found = ALLOWED.locate(url)
            assert found is not None
            assert ".." not in found.name.split("/")
            assert url.startswith(ACCOUNT)
            assert unquote(url.partition(found.place.container)[2]).strip("/").replace("//", "/")


def test_an_allow_list_keeps_its_order_without_doubles() -> None:
    assert AllowList((RECORDINGS, TEAM)) == ALLOWED
