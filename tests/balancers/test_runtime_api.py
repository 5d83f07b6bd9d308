"""The Runtime API's client against a scripted socket: every way in which an exchange can end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.balancers import runtime_api
from bluegreen.balancers.runtime_api import RuntimeApi, server_rows, stat_rows, verdicts
from bluegreen.errors import AccessDenied, BalancerError, OutcomeUnknown, Rejected, Unreachable

DENIED = "Permission denied\n\n"
NO_SERVER = "No such server.\n\n"
TWO = ["set server web/a weight 1", "set server web/b weight 2"]
HANG = None


@dataclass
class ScriptedSocket:
    """Answers each line with `answer`, then closes; None: it never answers."""

    path: Path
    answer: bytes | None = b"\n"
    lines: list[str] = field(default_factory=list)
    address: str = ""
    _ending: asyncio.Event = field(default_factory=asyncio.Event)

    def api(self, timeout: float = 60.0) -> RuntimeApi:
        return RuntimeApi(self.address or str(self.path), timeout)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            self.lines.append((await reader.readline()).decode())
            if self.answer is HANG:
                await self._ending.wait()
            else:
                writer.write(self.answer)
                await writer.drain()

    def end(self) -> None:
        self._ending.set()


@pytest.fixture
async def socket(short: Path) -> AsyncIterator[ScriptedSocket]:
    scripted = ScriptedSocket(short / "admin.sock")
    server = await asyncio.start_unix_server(scripted.serve, str(scripted.path))
    yield scripted
    scripted.end()
    server.close()


# --- asking ---


async def test_an_answer_is_given_as_it_came(socket: ScriptedSocket) -> None:
    socket.answer = b"admin\n\n"
    assert await socket.api().ask("show cli level") == "admin\n\n"
    assert socket.lines == ["show cli level\n"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_socket_may_be_a_host_and_a_port(socket: ScriptedSocket, host: str) -> None:
    try:
        server = await asyncio.start_server(socket.serve, host, 0)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    async with server:
        port = server.sockets[0].getsockname()[1]
        socket.address, socket.answer = f"[{host}]:{port}" if ":" in host else f"{host}:{port}", b"2.8.1\n\n"
        assert await socket.api().ask("show version") == "2.8.1\n\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "without an answer"),
        (b"pxname,svname\nweb,bl", "broke off"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n<html>", "broke off"),
        (HANG, "did not answer within 0.3 s"),
    ],
)
async def test_an_answer_that_does_not_come_whole_is_no_answer(
    socket: ScriptedSocket, answer: bytes | None, said: str
) -> None:
    socket.answer = answer
    with pytest.raises(Unreachable, match=said):
        await socket.api(timeout=0.3 if answer is HANG else 60.0).ask("show stat")


async def test_an_answer_without_end_is_given_up(socket: ScriptedSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_api, "ANSWER_BYTES_MAX", 1000)
    socket.answer = b"x" * 100_000
    with pytest.raises(Unreachable, match="an answer of more than"):
        await socket.api().ask("show stat")


async def test_the_deadline_covers_connecting_and_answering_together(socket: ScriptedSocket) -> None:
    socket.answer = HANG
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(Unreachable):
        await socket.api(timeout=0.2).ask("show stat")
    assert 0.1 < loop.time() - began < 30


async def test_a_missing_right_is_told_with_what_to_do(socket: ScriptedSocket) -> None:
    socket.answer = DENIED.encode()
    with pytest.raises(AccessDenied, match="level admin"):
        await socket.api().ask("show env")


async def test_a_check_that_quotes_a_missing_right_is_no_missing_right(socket: ScriptedSocket) -> None:
    socket.answer = b"web,blue,DOWN,SOCKERR,General socket error (Permission denied)\n\n"
    assert "Permission denied" in await socket.api().ask("show stat")


@pytest.mark.parametrize("address", ["nowhere.sock", "127.0.0.1:1", "nobody.invalid:9999"])
async def test_where_nobody_listens_nothing_was_sent(short: Path, address: str) -> None:
    api = RuntimeApi(address if ":" in address else str(short / address), 2.0)
    with pytest.raises(Unreachable, match="is HAProxy running"):
        await api.ask("show stat")
    with pytest.raises(Unreachable):
        await api.change(TWO)


# --- changing ---


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("\n\n", None),
        (DENIED * 2, AccessDenied),
        (NO_SERVER * 2, Rejected),
        (NO_SERVER + DENIED, Rejected),
        ("\n" + NO_SERVER, OutcomeUnknown),
        (NO_SERVER + "\n", OutcomeUnknown),
        ("\n" + DENIED, OutcomeUnknown),
        ("Unknown command, but maybe:\n  set server ...\n  show stat\n\n\n", OutcomeUnknown),  # one text, many lines
        ("\n", OutcomeUnknown),  # one of two
        ("\nNo such ser", OutcomeUnknown),
        ("", OutcomeUnknown),
        (HANG, OutcomeUnknown),
    ],
)
async def test_a_change_is_taken_refused_or_unknown(
    socket: ScriptedSocket, answer: str | None, outcome: type[BalancerError] | None
) -> None:
    socket.answer = answer.encode() if answer is not None else HANG
    api = socket.api(timeout=0.3 if answer is HANG else 60.0)
    if outcome is None:
        await api.change(TWO)
    else:
        with pytest.raises(BalancerError) as raised:
            await api.change(TWO)
        assert type(raised.value) is outcome
        assert raised.value.what
        assert raised.value.advice
    assert socket.lines == ["set server web/a weight 1; set server web/b weight 2\n"]  # sent once, in one line


async def test_a_complaint_is_told_in_haproxys_words(socket: ScriptedSocket) -> None:
    socket.answer = (NO_SERVER * 2).encode()
    with pytest.raises(Rejected) as raised:
        await socket.api().change(TWO)
    assert "No such server." in raised.value.what


@pytest.mark.parametrize(
    "command", ["", "  ", "show stat; shutdown sessions server web/a", "show stat\nshow env", "a\\"]
)
async def test_what_is_not_one_command_is_never_sent(socket: ScriptedSocket, command: str) -> None:
    with pytest.raises(Rejected, match="is not one command"):
        await socket.api().ask(command)
    with pytest.raises(Rejected, match="is not one command"):
        await socket.api().change([TWO[0], command])
    assert socket.lines == []


LINE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
SAID = st.lists(st.lists(LINE, max_size=3), max_size=8)


@given(SAID)
def test_each_command_has_exactly_one_verdict(said: list[list[str]]) -> None:
    answer = "".join("\n" if not lines else "\n".join(lines) + "\n\n" for lines in said)
    assert verdicts(answer) == [" ".join(lines) for lines in said]


@given(SAID, st.integers(min_value=1, max_value=20))
def test_an_answer_cut_short_never_has_a_verdict_too_many_nor_all_of_them(said: list[list[str]], cut: int) -> None:
    answer = "".join("\n" if not lines else "\n".join(lines) + "\n\n" for lines in said)
    assert len(verdicts(answer[:-cut])) < len(said) or not said


# --- tables ---


def test_columns_are_found_by_their_names_wherever_they_stand() -> None:
    answer = "1\n# srv_uweight srv_name extra srv_port srv_addr srv_admin_state\n7 blue x 80 10.0.0.1 8\n\n"
    (row,) = server_rows(answer)
    assert (row["srv_name"], row["srv_uweight"], row["srv_admin_state"]) == ("blue", "7", "8")
    answer = '# svname,pxname,last_chk,check_status,scur,status,\nblue,web,"a, b",L7OK,3,UP,\n\n'
    (row,) = stat_rows(answer)
    assert (row["pxname"], row["svname"], row["scur"], row["last_chk"]) == ("web", "blue", "3", "a, b")


@pytest.mark.parametrize("answer", ["\n", "Unknown command.\n\n", "# pxname,svname\nweb,blue\n\n"])
def test_a_table_that_is_none_is_refused_with_what_was_said(answer: str) -> None:
    for read in (server_rows, stat_rows):
        with pytest.raises(Rejected, match="did not tell"):
            read(answer)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(Rejected, match="srv_uweight as 'many'"):
        server_rows("1\n# srv_name srv_addr srv_port srv_admin_state srv_uweight\nblue 10.0.0.1 80 0 many\n\n")
