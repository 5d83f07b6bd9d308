"""What HTTP itself wants of the answers: ETags, one status in one answer, and how to come in where nobody is known."""

from __future__ import annotations

import aiohttp
import pytest

from bluegreen.control.problems import BODY_BYTES_MAX
from tests.control.conftest import Endpoint


async def test_the_list_of_services_has_an_etag_that_lasts_until_something_changes(endpoint: Endpoint):
    async with endpoint.unix.get("http://d/v1/services") as answer:
        etag = answer.headers["ETag"]
    async with endpoint.unix.get("http://d/v1/services", headers={"If-None-Match": etag}) as answer:
        assert (answer.status, answer.headers["ETag"]) == (304, etag)
    await endpoint.deployed()
    async with endpoint.unix.get("http://d/v1/services", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 200
        assert answer.headers["ETag"] != etag


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
@pytest.mark.parametrize("path", ["/v1/services", "/v1/services/web"])
async def test_a_known_document_is_not_sent_again_however_its_etag_is_named(endpoint: Endpoint, path: str, form: str):
    async with endpoint.unix.get(f"http://d{path}") as answer:
        named = form.format(answer.headers["ETag"])
    async with endpoint.unix.get(f"http://d{path}", headers={"If-None-Match": named}) as answer:
        assert answer.status == 304


async def test_a_problem_has_the_status_of_its_answer(endpoint: Endpoint):
    asked = [
        endpoint.unix.put("http://d/v1/services"),
        endpoint.unix.post("http://d/v1/services/web/pause", data=b"x" * (BODY_BYTES_MAX + 1)),
        endpoint.unix.post("http://d/v1/services/web/pause", data=b"{"),
        endpoint.unix.get("http://d/v1/services/none"),
        endpoint.unix.post("http://d/v1/services/web/approve", json={}),
    ]
    for one in asked:
        async with one as answer:
            assert (await answer.json(content_type=None))["status"] == answer.status


async def test_who_is_not_known_is_told_how_to_come_in(endpoint: Endpoint):
    async with (
        aiohttp.ClientSession() as nobody,
        nobody.get(f"{endpoint.url}/v1/services") as answer,
    ):
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="bluegreen"')


async def test_every_step_has_a_duration(endpoint: Endpoint):
    await endpoint.deployed()
    async with endpoint.unix.get("http://d/metrics") as answer:
        lines = (await answer.text()).splitlines()
    for step in ("preflight", "deploy", "wait_healthy", "smoke", "shift", "bake"):
        assert f'bluegreen_step_duration_seconds_count{{step="{step}"}} 1.0' in lines
