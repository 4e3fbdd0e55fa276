"""The gateway's record of one order, and what it becomes at the exchange.

Laws: the exchange knows an order by (client, order id) and a name of our own; whatever the client wrote stays in the record. What
the simulated exchange does not have is refused in words, never taken and ignored.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from tradeshell import Handle, Instrument, OcaType, OrderSpec, OrderState, OrderType, Price, Shares, Side, Tif
from tradeshell_paper.settings import Refusal
from tradeshell_paper.tws.encode_orders import OrderView
from tradeshell_paper.tws.fields import FieldError, parse_instant
from tradeshell_paper.tws.values import WireContract, WireOrder

MANUAL = -1  # the number under which orders of the gateway's own window are kept; clients see 0
TYPES = {
    "MKT": OrderType.MARKET,
    "LMT": OrderType.LIMIT,
    "STP": OrderType.STOP,
    "STP LMT": OrderType.STOP_LIMIT,
}
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL, "SSHORT": Side.SELL}
TIFS = {"": Tif.DAY, **{tif.value: tif for tif in Tif}}
STATUS = {
    OrderState.HELD: "PreSubmitted",
    OrderState.WORKING: "Submitted",
    OrderState.FILLED: "Filled",
    OrderState.CANCELLED: "Cancelled",
    OrderState.REFUSED: "Inactive",
}
MOST_SHARES = 10**9

NO_TYPE = Refusal(387, "Unsupported order type for this exchange and security type.")
NO_FRACTION = Refusal(10243, "Fractional-sized order cannot be placed via API. Please use desktop version.")
NO_CASH = Refusal(10244, "Cash Quantity cannot be used for this order.")


class Record:
    """One order. ``number`` is the client's id for it."""

    def __init__(
        self, order: WireOrder, contract: WireContract, instrument: Instrument, client: int, perm_id: int
    ) -> None:
        self.order = order
        self.contract = contract
        self.instrument = instrument
        self.account = ""
        self.client = client
        self.number = order.order_id
        self.perm_id = perm_id
        self.parent: Record | None = None
        self.oca_group = order.oca_group
        self.oca_type = order.oca_type or (1 if order.oca_group else 3)
        self.status = "PendingSubmit"
        self.total: Shares = int(order.quantity)
        self.filled: Shares = 0
        self.left: Shares = self.total
        self.value = Decimal(0)
        self.last_price = Decimal(0)
        self.commission: Decimal | None = None
        self.why_held = ""
        self.is_told = False  # its first status has left
        self.is_over = False
        self.was_asked_to_end = False
        self.waits: Handle | None = None  # kept back here until an instant
        self.completed_at: datetime | None = None
        self.completed_status = ""
        self.past: list[tuple[datetime, OrderView | None]] = []  # as it was shown; ``None``: it has ended

    @property
    def ref(self) -> str:
        """What the exchange calls it."""
        return ref_of(self.client, self.number)

    @property
    def is_bound(self) -> bool:
        """Whether it came through the API."""
        return self.client != MANUAL

    def view(self, binds: bool = False) -> OrderView:
        """Return it as it is shown now; ``binds``: an order of the window has a number for clients."""
        average = self.value / self.filled if self.filled else Decimal(0)
        number = self.number if self.is_bound else -self.number if binds else 0
        return OrderView(
            order=self.order,
            contract=self.contract,
            client=max(0, self.client) if not self.is_bound else self.client,
            order_id=number,
            perm_id=self.perm_id,
            account=self.account,
            status=self.status,
            total=self.total,
            filled=self.filled,
            remaining=0 if self.status == "Filled" else self.left,
            average=average.quantize(Decimal("0.000001")),
            last_price=self.last_price,
            parent_id=0 if self.parent is None else self.parent.number,
            parent_perm_id=0 if self.parent is None else self.parent.perm_id,
            oca_group=self.oca_group,
            oca_type=self.oca_type,
            why_held=self.why_held,
            commission=self.commission,
            completed_at=self.completed_at,
            completed_status=self.completed_status,
        )


def ref_of(client: int, number: int) -> str:
    """Return what the exchange calls an order."""
    return f"{client}/{number}"


def address_of(ref: str) -> tuple[int, int]:
    """Return client and order id of such a name."""
    client, _, number = ref.partition("/")
    return int(client), int(number)


def not_simulated(order: WireOrder) -> str | None:
    """Return what of an order this exchange does not have, in words."""
    for name, is_there in (
        ("algorithms", bool(order.algo_strategy)),
        ("conditions", bool(order.conditions)),
        ("scale orders", order.scale_increment is not None and order.scale_increment > 0),
        ("hedges", bool(order.hedge_type)),
        ("adjusted stops", bool(order.adjusted_type)),
        ("advisor groups", bool(order.fa_group or order.fa_profile)),
        ("minimum quantities", bool(order.min_qty)),
        ("all-or-none orders", order.all_or_none),
        ("discretionary amounts", bool(order.discretionary)),
    ):
        if is_there:
            return name
    return None


def check_shape(order: WireOrder) -> Refusal | None:
    """Return why this exchange cannot have such an order at all, ``None`` when it can."""
    if order.action not in SIDES:
        return Refusal(321, "Error validating request.-'bK' : cause - Invalid order action was entered.")
    if order.order_type not in TYPES:
        return NO_TYPE
    if order.tif not in TIFS:
        return Refusal(201, f"Order rejected - reason:time in force {order.tif} is not simulated here")
    if order.cash_qty:
        return NO_CASH
    if not order.quantity.is_finite() or order.quantity != order.quantity.to_integral_value():
        return NO_FRACTION
    if order.quantity > MOST_SHARES:
        return Refusal(201, "Order rejected - reason:the order is too large")
    missing = not_simulated(order)
    if missing is not None:
        return Refusal(201, f"Order rejected - reason:{missing} are not simulated here")
    return None


def to_spec(order: WireOrder, record: Record, offset: timedelta, *, is_change: bool) -> OrderSpec | Refusal:
    """Return the order as the exchange takes it. Call it after ``check_shape``."""
    till = None
    if TIFS[order.tif] is Tif.GTD:
        try:
            at = parse_instant(order.good_till, "goodTillDate")
        except FieldError as error:
            return Refusal(321, f"Error validating request.-'bK' : cause - {error}")
        till = None if at is None else at - offset
    group: str | None = order.oca_group or None
    group_type = OcaType(order.oca_type) if order.oca_type in (1, 2, 3) else None
    if is_change:
        # What a client may leave out, and the group that the gateway gave to the children of a bracket, is no change.
        if group == record.oca_group and record.order.oca_group == "":
            group = None
        if group is not None and group_type is None:
            group_type = OcaType(record.oca_type) if record.order.oca_type else None
    limit, stop = _price(order.limit), _price(order.aux)
    return OrderSpec(
        ref=record.ref,
        symbol=record.instrument.symbol,
        con_id=record.instrument.con_id,
        account=record.account,
        side=SIDES[order.action],
        qty=int(order.quantity),
        type=TYPES[order.order_type],
        limit=limit,
        stop=stop,
        tif=TIFS[order.tif],
        good_till=till,
        outside_rth=order.outside_rth,
        parent_ref=_parent_ref(order, record, is_change=is_change),
        oca_group=group,
        oca_type=group_type if group is not None else None,
        transmit=order.transmit,
    )


def _parent_ref(order: WireOrder, record: Record, *, is_change: bool) -> str | None:
    if order.parent_id == 0:
        return None
    if is_change and record.parent is not None and record.parent.number == order.parent_id:
        return record.parent.ref
    return ref_of(record.client, order.parent_id)


def _price(value: Decimal | None) -> Price | None:
    return None if value is None or value == 0 else value
