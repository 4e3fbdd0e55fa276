"""Builds B and L by hand, for tests of the checker: a story told in a few lines gives consistent records, unless told otherwise.

Laws: what the story does not say happens as it should: an order is written, sent, accepted and acknowledged; whoever wants a
breach says which record is to be wrong.
"""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulation.checker import Report, check

START = datetime(2025, 7, 8, 14, 0, tzinfo=UTC)
WAY = 0.01  # seconds to the venue, and back
ACCOUNT = "DU0000001"
PLAN: dict[str, Any] = {
    "symbol": "AAPL",
    "qty": 100,
    "level": "190",
    "sl": "187",
    "tps": ["195", "198", "205"],
    "mode": "detached",
    "stop_updates": ["190", "195"],
    "cover": "own",
}
BRACKET: dict[str, Any] = {**PLAN, "tps": ["195"], "mode": "attached", "stop_updates": []}


def line(payload: bytes) -> bytes:
    """Return one journal line."""
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def compact(value: Any) -> bytes:
    """Return JSON as the program writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Story:
    """A schedule told by hand. ``t`` is the present, in seconds."""

    def __init__(self, plan: dict[str, Any] | None = None, *, is_started: bool = True) -> None:
        self.b: list[dict[str, Any]] = []
        self.audit: list[bytes] = []
        self.journal: list[bytes] = [line(b'{"v":1,"session":"s1","broker":"paper"}')]
        self.t = 0.0
        self.plans = {"br-1": plan or PLAN}
        self.session = "s1"
        self.orders: dict[str, dict[str, Any]] = {}
        self._n = 0
        self._executions = 0
        if is_started:
            self.start()

    # --- records ------------------------------------------------------------------------------------------------------

    def say(self, event: str, **fields: Any) -> None:
        """Write one record of the audit."""
        ts = (START + timedelta(seconds=self.t)).isoformat().replace("+00:00", "Z")
        record = {"v": 1, "seq": len(self.audit) + 1, "ts": ts, "mono": self.t, "session": self.session}
        self.audit.append(compact({**record, "n": len(self.audit) + 1, "event": event, **fields}) + b"\n")

    def decide(self, *commands: dict[str, Any], **heard: Any) -> None:
        """Write one decision to the journal."""
        self._n += 1
        at = (START + timedelta(seconds=self.t)).isoformat().replace("+00:00", "Z")
        told = {"n": self._n, "input": {"input": "TimerFired", "at": at, **heard}, "orders": list(commands)}
        self.journal.append(line(compact(told)))

    def put(self, event: str, **fields: Any) -> None:
        """Add one record of B, now."""
        self.b.append({"event": event, "t": self.t, **fields})

    def wait(self, seconds: float) -> Story:
        """Let time pass."""
        self.t += seconds
        return self

    # --- lives and link -----------------------------------------------------------------------------------------------

    def start(self) -> Story:
        """Start the program, connect and reconcile."""
        self.put("start")
        self.put("link", up=True, why="")
        self.say("SessionStarted", version="x", broker="paper")
        self.say("ConnectionChanged", link="up", epoch=1, why="")
        self.wait(0.1)
        self.say("ReconciliationCompleted", epoch=1, orders=0, executions=0, positions=0)
        self.wait(0.9)
        self.quote("189.99", "190.01")
        return self

    def drop(self, seconds: float) -> Story:
        """Lose the link and have it back, without a reconciliation."""
        self.put("link", up=False, why="lost")
        self.put("to_host", kind="link", up=False, why="lost")
        self.say("ConnectionChanged", link="lost", epoch=1, why="lost")
        self.wait(seconds)
        self.put("link", up=True, why="")
        self.put("to_host", kind="link", up=True, why="")
        self.say("ConnectionChanged", link="up", epoch=2, why="")
        return self

    def kill(self, seconds: float = 1.0) -> Story:
        """End the process, and start it again."""
        self.put("kill")
        self.put("link", up=False, why="the process is gone")
        self.wait(seconds)
        self.session = "s2"
        self._n = 0
        self.journal.append(line(b'{"v":1,"session":"s2","broker":"paper"}'))
        return self.start()

    def reconcile(self) -> Story:
        """Read the account again."""
        now = self.t
        self.wait(WAY)
        self.put("snapshot", orders_as_of=now, executions_as_of=now, positions_as_of=now)
        self.say("ReconciliationCompleted", epoch=2, orders=0, executions=0, positions=0)
        return self

    def quote(self, bid: str, ask: str, *, told: bool = True) -> Story:
        """Set the touch, and show it."""
        self.put("quote", sym="AAPL", bid=bid, ask=ask, halted=False)
        if told:
            self.put("to_host", kind="quote", sym="AAPL", bid=bid, ask=ask, halted=False)
        return self

    # --- orders -------------------------------------------------------------------------------------------------------

    def place(
        self,
        leg: str,
        qty: int,
        *,
        watch: str = "br-1",
        lmt: str = "",
        stp: str = "",
        generation: int = 1,
        intent: dict[str, Any] | None = None,
        written: bool = True,
        journaled: bool = True,
        accepted: bool = True,
        answered: bool = True,
        venue: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        """Write, send and accept an order; ``intent`` and ``venue`` override what L or B says of it."""
        ref = f"ts:{watch}:{leg}:{generation}"
        is_entry = leg == "entry"
        kind = ("STP LMT" if lmt else "STP") if stp else ("LMT" if lmt else "MKT")
        spec = {
            "side": "BUY" if is_entry else "SELL",
            "qty": qty,
            "type": kind,
            "limit": lmt or None,
            "stop": stp or None,
            "tif": "DAY" if is_entry else "GTC",
            "outside_rth": False,
            "account": ACCOUNT,
            "con_id": 265598,
        }
        told = {**spec, "account": "DU…0001"} | (intent or {})
        number = len(self.orders) + 1 if ref not in self.orders else len(self.orders) + 100
        if written:
            named = {
                "symbol": "AAPL",
                "watch": watch,
                "leg": leg,
                "order_ref": ref,
                "action": "place",
                "reason": "",
            }
            self.say(
                "OrderIntent", **named, **{name: value for name, value in told.items() if value is not None}
            )
        if journaled:
            named = {"ref": ref, "symbol": "AAPL"}
            self.decide({"command": "PlaceOrder", "order": {**named, **told}, "order_id": number})
        record = {
            "id": number,
            "client": 0,
            "ref": ref,
            "sym": "AAPL",
            "side": spec["side"],
            "qty": qty,
            "type": kind,
            "lmt": lmt,
            "stp": stp,
            "tif": spec["tif"],
            "rth": False,
            "oca": "",
            "oca_type": 0,
            "parent": "",
            "account": ACCOUNT,
            "con_id": 265598,
            "till": "",
        }
        record |= {**more, **(venue or {})}
        self.wait(WAY)
        if accepted:
            self.put("accept", **record)
            self.orders[ref] = record | {
                "state": "sent",
                "filled": 0,
                "left": record["qty"],
                "elected": False,
                "works": True,
            }
            self.state(ref, "held" if stp else "working")
            if answered:
                shown = {name: self.orders[ref][name] for name in ("id", "ref", "state", "filled", "left")}
                self.put("to_host", kind="status", **shown)
            if written:
                self.say(
                    "OrderStatusChanged",
                    watch=watch,
                    leg=leg,
                    order_ref=ref,
                    order_id=number,
                    status="working",
                )
        return ref

    def entry(self, qty: int = 100, **more: Any) -> str:
        """Let the watcher enter."""
        seen = {"bid": "189.99", "ask": "190.01", "quote_age": 0.1}
        return self.place("entry", qty, lmt="190.01", intent=seen | more.pop("intent", {}), **more)

    def pair(self, number: int, qty: int, stp: str = "187", generation: int = 1) -> None:
        """Arm one leg."""
        oca = f"p{number}-{generation}"
        self.place(f"sl{number}", qty, stp=stp, lmt=stp, oca=oca, oca_type=2, generation=generation)
        tp = PLAN["tps"][min(number, 3) - 1]
        self.place(f"tp{number}", qty, lmt=tp, oca=oca, oca_type=2, generation=generation)

    def state(self, ref: str, state: str, **more: Any) -> None:
        """Let the venue say how an order stands."""
        order = self.orders[ref]
        order |= {"state": state, **more}
        if state not in ("sent", "held", "working"):
            order["left"] = 0
        names = ("id", "client", "ref", "state", "filled", "left", "elected", "works", "stp", "lmt")
        self.put("state", total=order["qty"], **{name: order[name] for name in names})

    def tell(self, ref: str, state: str, *, event: str = "OrderStatusChanged") -> None:
        """Deliver an order's state to the host, which writes it down."""
        order = self.orders[ref]
        self.put(
            "to_host",
            kind="status",
            id=order["id"],
            ref=ref,
            state=state,
            filled=order["filled"],
            left=order["left"],
        )
        self.say(event, order_ref=ref, order_id=order["id"], status=state)

    def change(
        self,
        ref: str,
        *,
        written: bool = True,
        journaled: bool = True,
        says: dict[str, Any] | None = None,
        accepted: bool = True,
        **new: Any,
    ) -> None:
        """Change an order in place."""
        order = self.orders[ref]
        order |= new
        spec = {
            "side": order["side"],
            "qty": order["qty"],
            "type": order["type"],
            "limit": order["lmt"] or None,
            "stop": order["stp"] or None,
            "tif": order["tif"],
            "outside_rth": False,
            "account": ACCOUNT,
            "con_id": 265598,
        } | (says or {})
        if written:
            named = {
                "symbol": "AAPL",
                "leg": ref.split(":")[2],
                "order_ref": ref,
                "action": "replace",
                "reason": "",
            }
            self.say(
                "OrderIntent", **named, **{name: value for name, value in spec.items() if value is not None}
            )
        if journaled:
            self.decide({"command": "ModifyOrder", "order": {"ref": ref, **spec}, "order_id": order["id"]})
        self.wait(WAY)
        if not accepted:
            return
        hidden = ("state", "filled", "left", "elected", "works")
        self.put("modify", **{name: value for name, value in order.items() if name not in hidden})
        order["left"] = order["qty"] - order["filled"]
        self.state(ref, order["state"])

    def cancel(self, ref: str, *, written: bool = True, told: bool = True) -> None:
        """Cancel an order of ours."""
        order = self.orders[ref]
        if written:
            named = {
                "symbol": "AAPL",
                "leg": ref.split(":")[2],
                "order_ref": ref,
                "action": "cancel",
                "reason": "x",
            }
            self.say("OrderIntent", **named, side=order["side"], qty=order["qty"], type=order["type"])
        self.decide({"command": "CancelOrder", "ref": ref, "order_id": order["id"]})
        self.wait(WAY)
        self.put("cancel_asked", id=order["id"], client=0, ref=ref)
        self.end(ref, "cancelled", told=told)

    def end(self, ref: str, state: str, *, told: bool = True) -> None:
        """End an order at the venue."""
        self.state(ref, state)
        if told:
            self.wait(WAY)
            self.tell(ref, state)

    def fill(self, ref: str, qty: int, *, told: bool = True, logged: bool = True, px: str = "190.01") -> str:
        """Execute an order, and let the host hear of it."""
        order = self.orders[ref]
        self._executions += 1
        exec_id = f"x.{self._executions}.01"
        named = {"id": order["id"], "ref": ref, "sym": "AAPL", "side": order["side"], "qty": qty, "px": px}
        self.put("exec", client=0, exec_id=exec_id, **named)
        order["filled"] += qty
        order["left"] = max(0, order["qty"] - order["filled"])
        is_full = order["filled"] >= order["qty"]
        self.state(ref, "filled" if is_full else "working")
        if told:
            self.wait(WAY)
            self.put("to_host", kind="exec", exec_id=exec_id, **named)
            if logged:
                leg = ref.split(":")[2]
                self.say(
                    "OrderFilled" if leg == "entry" else "BracketChildOrderFilled",
                    order_ref=ref,
                    exec_id=exec_id,
                    qty=qty,
                    side=order["side"],
                    leg=leg,
                )
            if is_full:
                self.tell(ref, "filled")
        return exec_id

    def foreign(self, side: str, qty: int, *, told: bool = False) -> None:
        """Let somebody else trade the account; ``told``: the host hears of the execution."""
        self._executions += 1
        named = {
            "id": self._executions,
            "client": 99,
            "ref": "",
            "sym": "AAPL",
            "side": side,
            "qty": qty,
            "px": "190",
        }
        self.put("exec", exec_id=f"y.{self._executions}.01", **named)
        if told:
            self.put("to_host", kind="exec", exec_id=f"y.{self._executions}.01", **named)

    # --- whole pieces -------------------------------------------------------------------------------------------------

    def hold(self, qty: int = 100) -> Story:
        """Enter and be filled."""
        self.fill(self.entry(qty), qty)
        return self

    def arm(self) -> Story:
        """Hold 100 shares with their ladder."""
        self.hold()
        for number, qty in ((3, 10), (2, 30), (1, 60)):
            self.pair(number, qty)
        return self

    def take(self, number: int, qty: int) -> Story:
        """Let a target be sold and its stop go with it."""
        self.fill(f"ts:br-1:tp{number}:1", qty, px="195")
        self.end(f"ts:br-1:sl{number}:1", "cancelled")
        return self

    # --- judging ------------------------------------------------------------------------------------------------------

    def report(self, **facts: Any) -> Report:
        """Let the checker judge it."""
        told: dict[str, Any] = {
            "account": ACCOUNT,
            "plans": self.plans,
            "end": self.t,
            "start": START.isoformat(),
            **facts,
        }
        return check(self.b, self.audit, self.journal, told)

    def rules(self, **facts: Any) -> set[str]:
        """Return the rules that are broken."""
        return {violation.rule for violation in self.report(**facts).violations}

    def settled(self, **facts: Any) -> set[str]:
        """Return the rules that are broken when a minute without faults has followed."""
        begin = self.t
        self.wait(61)
        return self.rules(fault_free_from=begin, **facts)
