"""A peer that is no gateway, or a broken one: whatever it sends costs itself, and the operator reads one line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.plugins.ibkr.peer import Peer, Scene, execution, open_order, play, position, status

from tradeshell import BrokerError, ExecutionReported, LinkChanged, OrderRefusedByBroker

REF = "ts:br1:sl1:1"


class Raw(Peer):
    """Answers the greeting with bytes of its own."""

    answer = b""

    def receive(self, data: bytes) -> None:
        del data
        if self.answer:
            self.write(self.answer)
            self.answer = b""


async def refused(scene: Scene) -> str:
    with pytest.raises(BrokerError) as caught:
        await scene.broker.connect()
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 300
    return text


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x7f\xff\xff\xff",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\0\0\0\x04178\0",
        b"\0\0\0\x0aabc\0def\0gh",
        b"\0\0\0\x08178\0a\0b\0",
        b"\0\0\0\0",
        b"\0\0\0\x05\xff\xfe\xfd\0\0",
    ],
)
def test_what_is_no_gateway_is_called_so(tmp_path: Path, answer: bytes) -> None:
    async def story(scene: Scene) -> None:
        peer = Raw()
        peer.answer = answer
        scene.next_peers = [peer]
        assert "does not speak the TWS API" in await refused(scene)

    play(tmp_path, story)


def test_the_greeting_may_come_byte_by_byte(tmp_path: Path) -> None:
    class Dripping(Peer):
        def write(self, data: bytes) -> None:
            for byte in data:
                super().write(bytes([byte]))

    async def story(scene: Scene) -> None:
        scene.next_peers = [Dripping(positions=[position(90)])]
        await scene.broker.connect()
        assert len((await scene.broker.snapshot_account()).positions) == 1

    play(tmp_path, story)


def test_many_messages_may_come_at_once(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        frames = b""
        for number in range(1000):
            payload = "".join(
                f"{field}\0" for field in execution(1, f"a.{number}.01", REF, 1, "187")
            ).encode()
            frames += len(payload).to_bytes(4, "big") + payload
        scene.peer.write(frames)
        await scene.settle()

    assert len(play(tmp_path, story).of(ExecutionReported)) == 1000


def test_x06_a_giant_length_ends_the_connection_and_costs_no_memory(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.write(b"\x7f\xff\xff\xff" + b"x" * 1000)
        await scene.pass_time(5)

    links = play(tmp_path, story).of(LinkChanged)
    assert [link.up for link in links] == [True, False, True]
    assert "a message of 2147483647 bytes was announced" in links[1].why


def test_a_message_that_is_cut_off_ends_in_a_lifeless_link(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.peer.is_mute = True
        scene.peer.write(b"\0\0\x10\0half of it")
        await scene.pass_time(40)

    links = play(tmp_path, story).of(LinkChanged)
    assert [link.up for link in links[:2]] == [True, False]
    assert "no sign of life" in links[1].why


@pytest.mark.parametrize(
    "message",
    [
        ("3",),
        ("3", "x", "Submitted"),
        ("3", "1", "Submitted", "nan", "nan", "0", "1", "0", "0", "7", "", "0"),
        ("3", "1", "Submitted", "1e400", "-1e400", "0", "1", "0", "0", "7", "", "0"),
        ("4", "2"),
        ("4", "2", "x", "y", "z", ""),
        ("5", "1", "2"),
        open_order(1, REF)[:60],
        open_order(1, REF, qty="many"),
        open_order(1, REF, limit="nan", stop="inf"),
        open_order(1, REF, limit="1e308", stop="-4"),
        ("9", "1", "x"),
        ("11", "-1"),
        execution(1, "a.1.01", REF, "x", "y"),
        execution(1, "", REF, 100, "187"),
        execution(1, "a.1.01", REF, "nan", "187"),
        execution(1, "a.1.01", REF, 100, "nan"),
        ("15", "1"),
        ("59", "1", "a.1.01", "nan", "USD", "0", "0", "0"),
        ("59", "1", "a.1.01", "1.7976931348623157E308", "USD", "0", "0", ""),
        position("nan", "nan"),
        position("1e308", "1e308"),
        ("61", "3", "DU1234567"),
        ("101", "1"),
        ("", ""),
        ("-1", "1"),
        ("999", "1"),
        ("\x00", "1"),
        ("55", "1", "-5"),
        ("4", "2", "-1", "1\x001", "\x1b[31mred", ""),
    ],
)
def test_x06_a_message_that_makes_no_sense_costs_itself(tmp_path: Path, message: tuple[str, ...]) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        for _ in range(50):
            scene.peer.say(*message)
        scene.peer.say(*execution(2, "b.1.01", REF, 7, "187.5"))
        await scene.settle()
        await scene.broker.snapshot_account()

    scene = play(tmp_path, story)  # which fails when anything reached the loop's exception handler
    assert [link.up for link in scene.of(LinkChanged)] == [True]
    assert scene.of(ExecutionReported)[-1].execution.qty == 7
    assert len(scene.of(OrderRefusedByBroker)) <= 2


@pytest.mark.parametrize("seed", range(20))
def test_x06_random_frames_and_mutilated_ones_are_survived(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    kinds = [
        open_order(1, REF),
        status(1, "Submitted"),
        execution(1, "a.1.01", REF, 10, "187"),
        position(5),
        ("4", "2", "1", "201", "no", ""),
        ("59", "1", "a", "1", "USD", "", "", ""),
    ]

    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        connection = scene.broker.connection
        for _ in range(400):
            fields = list(chance.choice(kinds))
            for _ in range(chance.randrange(1, 4)):
                how = chance.randrange(4)
                at = chance.randrange(len(fields)) if fields else 0
                if how == 0 and fields:
                    fields[at] = chance.choice(
                        ["", "nan", "-1", "x", "99999999999999999999", "\u20ac", "1e999", "None"]
                    )
                elif how == 1 and fields:
                    del fields[at]
                elif how == 2:
                    fields.insert(at, "0")
                elif fields:
                    fields = fields[: chance.randrange(len(fields))]
            if not fields or fields[0] == "4":
                fields = ["4", "2", "-1", "2104", "ok", ""]  # an error may rightly end the link
            scene.peer.say(*fields)
        await scene.settle()
        assert connection.is_served
        await scene.broker.snapshot_account()

    play(tmp_path, story)


@pytest.mark.parametrize("seed", range(10))
def test_x06_random_bytes_never_raise(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)

    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        for _ in range(200):
            scene.peer.write(chance.randbytes(chance.randrange(1, 200)))
            await scene.pass_time(0.01)
        await scene.pass_time(200)

    play(tmp_path, story)
