"""Orders that are written together, and packets that are dealt with as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.plugins.ibkr.orders_of_ours import stop
from tests.plugins.ibkr.peer import Scene, play, status

from tradeshell import BrokerError, OrderReported
from tradeshell.ports import WritesTogether


def test_what_is_sent_together_is_one_write_in_order_and_what_follows_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []

    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        broker = scene.broker
        assert isinstance(broker, WritesTogether)
        transport = scene.peer.transport
        real = transport.write

        def write(data: bytes) -> None:
            written.append(data)
            real(data)

        monkeypatch.setattr(transport, "write", write)
        with broker.together(), broker.together():
            broker.place(stop("ts:br1:sl1:1"), 12)
            broker.place(stop("ts:br1:sl2:1"), 13)
            assert written == []
        broker.place(stop("ts:br1:sl3:1"), 14)
        await scene.settle()

    scene = play(tmp_path, story)
    assert len(written) == 2
    assert [fields[1] for fields in scene.peer.of("3")] == ["12", "13", "14"]


def test_what_fails_within_keeps_the_others_in_the_piece(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        with scene.broker.together():
            scene.broker.place(stop("ts:br1:sl1:1"), 12)
            with pytest.raises(BrokerError, match="used before"):
                scene.broker.place(stop("ts:br1:sl2:1"), 12)
            scene.broker.place(stop("ts:br1:sl3:1"), 13)
        await scene.settle()

    assert [fields[1] for fields in play(tmp_path, story).peer.of("3")] == ["12", "13"]


def test_a_connection_that_ends_within_raises_nothing_and_nothing_is_written(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        with scene.broker.together():
            scene.broker.place(stop("ts:br1:sl1:1"), 12)
            scene.broker.connection.disconnect()
        await scene.settle()
        with scene.broker.together():
            pass

    assert play(tmp_path, story).peers[0].of("3") == []


def test_the_messages_of_one_packet_are_told_inside_one_packet_of_the_host(tmp_path: Path) -> None:
    told: list[object] = []

    @contextmanager
    def packet() -> Iterator[None]:
        told.append("begin")
        yield
        told.append("end")

    async def story(scene: Scene) -> None:
        scene.broker.connection._packet = packet
        await scene.broker.connect()
        scene.broker.place(stop("ts:br1:sl1:1"), 12)
        await scene.settle()
        told.clear()
        before = len(scene.of(OrderReported))
        transport = scene.peer.transport
        frames = b""
        for word in ("PreSubmitted", "Submitted"):
            payload = ("\0".join(status(12, word)) + "\0").encode()
            frames += len(payload).to_bytes(4, "big") + payload
        transport.deliver(frames)
        assert len(scene.of(OrderReported)) == before + 2
        assert told == ["begin", "end"]

    play(tmp_path, story)
