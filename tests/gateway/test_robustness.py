"""Nonsense, haste and silence of clients: the gateway survives each, and serves the next one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket

import pytest
from tests.gateway.support import (
    Bare,
    client_of,
    on_virtual_time,
    place_fields,
    quotes,
    served,
    start_bare,
    talk_to,
    told,
    until,
)

from tradeshell_paper.tws.frames import (
    MAX_FRAME,
    FrameReader,
    Greeting,
    ProtocolError,
    choose_version,
    encode,
    parse_greeting,
)
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.inmemory import dial

FRAMES = int(os.environ.get("GATEWAY_FUZZ_FRAMES", "6000"))
CALM = quotes((0, "100.00", "100.02"), (20_000, "100.00", "100.02"))
STOCK = ["0", "AAPL", "STK", "", "0.0", "", "", "SMART", "", "USD", "", ""]
VALID: list[list[object]] = [
    place_fields(5, "BUY", 10, "LMT", limit=99),
    place_fields(6, "SELL", 10, "STP", aux=95, parent=5),
    [4, 1, 5, ""], [5, 1], [6, 2, 1, "DU0000001"], [7, 3, 2, 0, "", "", "", "", "", ""], [8, 1, 1],
    [9, 8, 3, *STOCK, 0, "", "", ""], [1, 11, 4, *STOCK, 0, "233", 0, 0, ""], [2, 2, 4],
    [20, 7, *STOCK, 0, "", "1 min", "1800 S", 1, "TRADES", 2, 1, ""], [25, 1, 7], [49, 1],
    [50, 3, 8, *STOCK, 5, "TRADES", 0, ""], [51, 1, 8], [58, 1], [59, 1, 3], [61, 1], [62, 1, 9, "All", "NetLiquidation"],
    [63, 1, 9], [64, 1], [71, 2, 1, ""], [74, 1, 10, "", ""], [76, 1, 11, "", "", 0], [78, 12, "AAPL", "", "STK", 1],
    [81, 13, "AAP"], [87, 14, *STOCK, 0, 1, "TRADES", 2], [88, 15, *STOCK, 0, 1, "1 day"], [91, 26], [92, 16, "", ""],
    [94, 17, "", "", 1], [96, 18, *STOCK, 0, "", "20250708 10:00:00", 10, "TRADES", 1, 0, ""],
    [97, 19, *STOCK, "Last", 0, 0], [98, 19], [99, 0], [15, 1, 1], [16, 1], [10, 5, 20, *STOCK, 5, 0, ""],
]  # fmt: skip
NASTY = (
    "", "-1", "0", "999999999999999999999", "1e400", "nan", "inf", "Infinity", "1.7976931348623157E308", "2147483647",
    "-2147483648", "\\", "ä€", "20259999 99:99:99", "20250708 10:00:00 Nowhere/Land", "99999 Y", "1 secs", "A" * 5000,
    "1;2", "%s%n", "true", "\x7f",
)  # fmt: skip


def mutated(chance: random.Random) -> bytes:
    """Return a frame that is almost a message: fields changed, added, missing, or a payload of chance."""
    kind = chance.random()
    if kind < 0.1:
        payload = chance.randbytes(chance.randrange(1, 200))
        return len(payload).to_bytes(4, "big") + payload
    fields = list(chance.choice(VALID))
    for _ in range(chance.randrange(4)):
        what, at = chance.randrange(4), chance.randrange(len(fields))
        if what == 0:
            fields[at] = chance.choice(NASTY)
        elif what == 1:
            fields.insert(at, chance.choice(NASTY))
        elif what == 2 and len(fields) > 1:
            del fields[at]
        else:
            fields[at] = str(chance.randrange(-5, 120))
    return encode(*fields)


@pytest.mark.timeout(900)
def test_no_sequence_of_frames_breaks_a_session_or_the_gateway() -> None:
    chance = random.Random(20250708)
    counts = {"frames": 0, "sessions": 0}

    async def story(gateway: Gateway) -> None:
        loop = asyncio.get_running_loop()
        failures: list[dict[str, object]] = []
        loop.set_exception_handler(lambda _, context: failures.append(context))
        number = 100
        while counts["frames"] < FRAMES:
            number += 1
            client = await start_bare(gateway, number)
            counts["sessions"] += 1
            for _ in range(40):
                batch = [mutated(chance) for _ in range(chance.randrange(1, 12))]
                counts["frames"] += len(batch)
                data = b"".join(batch)
                while data:  # split and joined at any place
                    cut = chance.randrange(1, len(data) + 1)
                    client.raw(data[:cut])
                    data = data[cut:]
                await asyncio.sleep(chance.choice((0.001, 0.5, 7)))
                assert failures == []
                assert gateway.house.defects == []
                if client.is_lost:
                    break
            assert client._transport is not None
            client._transport.abort()
            await asyncio.sleep(0.01)
        good = await start_bare(gateway, 7)
        good.place(1, "BUY", 100, "LMT", limit=99, account="DU0000001")
        await asyncio.sleep(1)
        # By then it may be night: the order is taken all the same.
        assert told(good.take())[-1] in {"T1 Submitted 0/100", "T1 PreSubmitted 0/100"}

    on_virtual_time(story, script=CALM, switches={"pacing": "off", "ids_must_rise": False})
    assert counts["sessions"] > 5


@pytest.mark.parametrize(
    "bytes_",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"API\0" + (MAX_FRAME + 1).to_bytes(4, "big") + b"v157..178",
        b"API\0\xff\xff\xff\xff",
        b"API\0\0\0\0\0",
        b"API\0\0\0\0\x09v100..156",
        b"API\0\0\0\0\x09v178..157",
        b"API\0\0\0\0\x04v200",
        b"API\0\0\0\0\x05hello",
        b"\0\0\0\x09v157..178",
    ],
)
def test_what_is_not_this_protocol_ends_its_connection_and_no_other(bytes_: bytes) -> None:
    async def story() -> None:
        async with served(script=CALM) as gateway, talk_to(gateway.port, 1) as good:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(bytes_)
            async with asyncio.timeout(5):
                assert await reader.read() == b""
            writer.close()
            good.send(49, 1)
            await good.read_until(49)

    asyncio.run(story())


@pytest.mark.parametrize(
    "offer, ours, version",
    [
        ("v157..178", 178, 178), ("v100..225", 178, 178), ("v100..157", 178, 157), ("v170", 178, 170),
        ("v157..158", 178, 157), ("v158..158", 178, None), ("v100..156", 178, None), ("v100..225", 157, 157),
        ("v100..225 +PACEAPI", 178, 178), ("v179..225", 178, None),
    ],
)  # fmt: skip
def test_the_version_is_the_highest_that_both_speak_and_never_above_the_clients(
    offer: str, ours: int, version: int | None
) -> None:
    assert choose_version(parse_greeting(offer.encode()), ours) == version


def test_the_answer_to_the_greeting_comes_alone_and_nothing_follows_before_the_api_is_started() -> None:
    async def story() -> None:
        async with served(script=CALM) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            for byte in b"API\0\0\0\0\x09v157..178":  # as slow as it can be
                writer.write(bytes([byte]))
                await writer.drain()
            first = await reader.read(4096)
            assert int.from_bytes(first[:4], "big") == len(first) - 4
            assert first[4:8] == b"178\0"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    assert await reader.read(1) is None, "something came before startApi"
            writer.write(encode(71, 2, 1, ""))
            assert b"15\x001\0DU0000001\0" in await reader.read(4096)
            writer.close()

    asyncio.run(story())


def test_a_frame_may_come_in_any_pieces() -> None:
    stream = b"API\0" + len(b"v157..178").to_bytes(4, "big") + b"v157..178" + encode(49, 1) * 3
    for size in (1, 2, 3, 7, len(stream)):
        reader = FrameReader()
        found = [p for at in range(0, len(stream), size) for p in reader.feed(stream[at : at + size])]
        assert found == [b"v157..178", b"49\0001\0", b"49\0001\0", b"49\0001\0"]
    with pytest.raises(ProtocolError):
        list(FrameReader().feed(b"AP!"))
    assert parse_greeting(b"v157..178") == Greeting(157, 178)


def test_a_client_that_never_reads_is_dropped_when_too_much_waits_for_it() -> None:
    async def story() -> None:
        async with served(
            switches={"max_backlog": 200_000, "pacing": "off", "history_pacing": False}
        ) as gateway:
            sock = socket.create_connection(("127.0.0.1", gateway.port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(sock, b"API\0" + (9).to_bytes(4, "big") + b"v157..178")
            assert await loop.sock_recv(sock, 4096)
            await loop.sock_sendall(sock, encode(71, 2, 1, ""))
            await until(lambda: gateway.gateway.house.clients)
            ask = encode(20, 7, *STOCK, 0, "", "1 min", "5 D", 0, "TRADES", 2, 0, "")
            for number in range(2000):
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    await loop.sock_sendall(sock, ask.replace(b"\x007\0", b"\x00%d\0" % (100 + number), 1))
                await asyncio.sleep(0)
                if not gateway.gateway.sessions:
                    break
            await until(lambda: not gateway.gateway.sessions)
            sock.close()
            async with client_of(gateway.port, 2) as ib:
                assert ib.managedAccounts() == ["DU0000001"]

    asyncio.run(story())


def test_a_client_id_that_is_taken_is_error_326_and_the_end_and_the_first_one_stays() -> None:
    async def story(gateway: Gateway) -> None:
        first = await start_bare(gateway, 5)
        _, second = dial(asyncio.get_running_loop(), gateway, Bare)
        assert isinstance(second, Bare)
        second.raw(b"API\0\0\0\0\x04v178")
        second.send(71, 2, 5, "")
        await asyncio.sleep(0.01)
        assert told(second.take()) == ["X-1 326"]
        assert second.is_lost
        assert not first.is_lost
        first.send(49, 1)
        await asyncio.sleep(0.01)
        assert first.take()[0][0] == "49"

    on_virtual_time(story, script=CALM)


def test_more_clients_than_there_may_be_are_turned_away() -> None:
    async def story(gateway: Gateway) -> None:
        clients = [await start_bare(gateway, number) for number in range(33)]
        assert [client.is_lost for client in clients] == [False] * 32 + [True]

    on_virtual_time(story, script=CALM)


def test_who_asks_too_fast_is_refused_and_the_third_time_dropped_and_a_patient_client_is_slowed_down() -> (
    None
):
    async def story(gateway: Gateway) -> None:
        hasty = await start_bare(gateway, 1)
        await asyncio.sleep(2)
        for _ in range(52):
            hasty.send(49, 1)
        await asyncio.sleep(0.01)
        got = hasty.take()
        assert [m[0] for m in got].count("49") == 50
        assert told(got) == ["X-1 100", "X-1 100"]
        hasty.send(49, 1)
        await asyncio.sleep(0.01)
        assert hasty.is_lost
        _, patient = dial(asyncio.get_running_loop(), gateway, Bare)
        assert isinstance(patient, Bare)
        offer = b"v157..178 +PACEAPI"
        patient.raw(b"API\0" + len(offer).to_bytes(4, "big") + offer)
        patient.send(71, 2, 2, "")
        for _ in range(120):
            patient.send(49, 1)
        await asyncio.sleep(0.5)
        assert [m[0] for m in patient.take()].count("49") == 49
        await asyncio.sleep(3)
        assert [m[0] for m in patient.take()].count("49") == 71

    on_virtual_time(story, script=CALM)


def test_historical_requests_that_come_too_often_are_pacing_violations() -> None:
    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway, 1)

        async def ask(number: int, size: str = "5 secs", duration: str = "60 S") -> list[str]:
            client.send(20, number, *STOCK, 0, "", size, duration, 0, "TRADES", 2, 0, "")
            await asyncio.sleep(0.1)
            return told(client.take())

        assert await ask(1) == []
        assert await ask(2) == ["X2 162"]  # the same within fifteen seconds
        await asyncio.sleep(15)
        assert await ask(3) == []
        assert await ask(4, "1 min") == await ask(5, "1 min") == []  # a minute and more is free
        await asyncio.sleep(3)
        burst = [await ask(10 + n, "5 secs", f"{65 + 5 * n} S") for n in range(6)]
        assert burst == [[]] * 5 + [["X15 162"]]
        total = 7
        while total < 60:
            await asyncio.sleep(16)
            assert await ask(100 + total) == []
            total += 1
            if total == 45:
                break
        assert total == 45

    on_virtual_time(story)


@pytest.mark.parametrize("pieces", [1, 3, 1000])
def test_frames_that_arrive_split_are_understood_by_the_client(pieces: int) -> None:
    async def story() -> None:
        async with served(switches={"split_writes": pieces}) as gateway, client_of(gateway.port) as ib:
            assert ib.managedAccounts() == ["DU0000001"]
            assert ib.accountValues() != []

    asyncio.run(story())
