"""What the log says about itself. These records are its own: ``n`` is 0, and no other sink gets them."""

from __future__ import annotations

from typing import ClassVar

from tradeshell import Event, Weight


class LogTailRepaired(Event, frozen=True, kw_only=True):
    """The log was damaged: ``torn`` bytes behind its ``whole`` good lines are in the file ``kept``, and the log goes on there."""

    weight: ClassVar[Weight] = Weight.BAD
    torn: int
    kept: str
    whole: int = 0

    def label(self) -> str:
        return "audit"

    def story(self) -> str | None:
        return (
            f"the log is good up to line {self.whole}; "
            f"the {self.torn} damaged bytes after it are kept in {self.kept}"
        )


class LogRestarted(Event, frozen=True, kw_only=True):
    """The file was moved, cut or replaced by somebody else while it was written: the log goes on in the one that is there now."""

    weight: ClassVar[Weight] = Weight.BAD
    reason: str

    def label(self) -> str:
        return "audit"

    def story(self) -> str | None:
        return f"the log goes on here: {self.reason}"


class AuditGap(Event, frozen=True, kw_only=True):
    """Records that could not be written in time: ``lost`` ones are in no log, ``late`` ones came after their orders had left."""

    weight: ClassVar[Weight] = Weight.BAD
    lost: int
    late: int
    reason: str

    def label(self) -> str:
        return "audit"

    def story(self) -> str | None:
        parts = [
            f"{count} records {what}"
            for count, what in ((self.lost, "are missing before this line"), (self.late, "were written late"))
            if count
        ]
        return f"{', '.join(parts)}: {self.reason}"
