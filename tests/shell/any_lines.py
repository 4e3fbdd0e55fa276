"""Lines that somebody may type: words that fit the grammars, more or less, and the lines of the manual after accidents.

A line is a function of its seed and of the commands: the same one each time.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from tradeshell.grammar import Command, Grammar, Key
from tradeshell.shell.commands import ALIASES, KEPT

WORDS = (
    "AAPL", "aapl", "BRK.B", "ALL", "100", "0", "-1", "1e9", "0x10", "190,5", "\uff11\uff10\uff10", "nan", "inf", "true", "be",
    "br-1", "AAPL.sl1", "AAPL.*", "?", "--help", "2", "99", "30s", "5m", "'", '"', "''", "a b", "=", "==", "x=y", "#", ";", ">",
    "|", "{1}", "\x1b[2J", "\x00", "\u202e", "ﬀ", "💥", "again", "cancel", "replace", "show=all", "99999999999999999999",
)  # fmt: skip
# Values that fit one another, so that many lines are understood; by what a key calls its value, or by its name.
FITTING: Mapping[str, tuple[str, ...]] = {
    "SYM": ("DEMO", "AAPL", "demo"),
    "SHARES": ("1", "3", "10", "100"),
    "TIME": ("1s", "30s", "2m"),
    "level": ("100", "100.50", "101", "190"),
    "sl": ("99", "98.5", "99", "100", "99.999999", "187"),
    "tp": ("102", "102-103", "102-103-104.5", "auto", "195-198-205"),
    "tp_alloc": ("50-30-20", "70-30", "60-30-10"),
    "stop_updates": ("100", "100-102", "99.5-101", "102-103", "101-100"),
    "limit": ("99", "100", "101"),
    "risk": ("50", "200", "0.5%"),
    "stop": ("98", "99", "be"),
    "order": ("1", "2", "5", "DEMO.sl1", "DEMO.sl*", "DEMO", "ALL"),
}
TRADING = ("breakout", "plan", "buy", "sell")  # half of all lines
OFTEN = {"tp": 0.5, "sl": 0.5, "stop_updates": 0.1, "tp_alloc": 0.1, "risk": 0.2}
# These end the session, read the disk or repeat what went before.
NOT_TYPED = ("quit", "exit", "_eof", "run_script", "history")


def _value(chance: random.Random, key: Key, slips: float) -> str:
    fixed = [] if callable(key.values) else [value for value, _ in key.values]
    fitting = FITTING.get(key.name) or FITTING.get(key.metavar, ())
    known = [*fixed, *fitting, *([key.example] if key.example else [])]
    return chance.choice(known if known and chance.random() >= slips else WORDS)


def _words(chance: random.Random, grammar: Grammar, slips: float) -> list[str]:
    """Return words that fit the grammar, but for one in so many (``slips``, 0 to 1)."""
    if grammar.verbs and chance.random() < 0.4:
        verb = chance.choice(grammar.verbs)
        return [verb.word, *_words(chance, verb.grammar, slips)]
    words = [
        _value(chance, key, slips) for name in grammar.positionals if (key := grammar.key(name)) is not None
    ]
    if grammar.rest is not None and (key := grammar.key(grammar.rest)) is not None:
        words += [_value(chance, key, slips) for _ in range(chance.choice((0, 1, 1, 2)))]
    named = chance.sample(grammar.keys, min(len(grammar.keys), chance.choice((0, 0, 1, 1, 2, 4))))
    named += [key for key in grammar.keys if key not in named and chance.random() < OFTEN.get(key.name, 0)]
    words += [
        f"{key.name}={_value(chance, key, slips)}"
        if chance.random() >= slips / 2
        else _value(chance, key, slips)
        for key in named
        if key.name not in grammar.positionals
    ]
    words += [flag.word for flag in grammar.flags if chance.random() < 0.2]
    return words


def _mutated(chance: random.Random, words: list[str]) -> list[str]:
    """Return the words after an accident."""
    if not words:
        return [chance.choice(WORDS)]
    at = chance.randrange(len(words))
    accident = chance.randrange(6)
    if accident == 0:
        return [*words, chance.choice(words)]
    if accident == 1:
        cut = chance.randint(0, len(words[at]))
        return [*words[:at], words[at][:cut] + _odd(chance) + words[at][cut:], *words[at + 1 :]]
    if accident == 2:
        return chance.sample(words, len(words))
    if accident == 3:
        return [*words[:at], *words[at + 1 :]]
    if accident == 4:
        return [*words[:at], words[at].swapcase(), *words[at + 1 :]]
    return [*words[:at], chance.choice(WORDS), *words[at:]]


def _odd(chance: random.Random) -> str:
    return chr(
        chance.choice((chance.randrange(32), chance.randrange(32, 127), chance.randrange(128, 0xD800)))
    )


def command_line(seed: int, commands: Sequence[Command]) -> tuple[Command, list[str]]:
    """Return a command and words for it, perhaps after accidents."""
    chance = random.Random(seed)
    trading = [command for command in commands if command.name in TRADING]
    command = chance.choice(trading if trading and chance.random() < 0.5 else commands)
    is_careful = chance.random() < 0.4
    words = _words(chance, command.grammar, 0.0 if is_careful else 0.2)
    for _ in range(0 if is_careful else chance.choice((0, 0, 1, 1, 2, 3))):
        words = _mutated(chance, words)
    return command, words


def any_line(seed: int, commands: Sequence[Command]) -> str:
    """Return a line: words for a command, or a line of the manual with characters changed, put in, moved and taken away."""
    chance = random.Random(~seed)
    if chance.random() < 0.75:
        command, words = command_line(seed, commands)
        return " ".join([command.name, *words])
    known = [line for command in commands for line in command.examples]
    known += [
        *KEPT,
        *ALIASES,
        "help",
        "?",
        "alias create x buy",
        "macro create y buy {1}",
        "set echo true",
        "!!",
        "_eof",
    ]
    text = list(chance.choice(known))
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        at = chance.randint(0, len(text))
        accident = chance.randrange(5)
        if accident == 0:
            text.insert(at, _odd(chance))
        elif accident == 1:
            text[at : at + 1] = [_odd(chance)]
        elif accident == 2:
            del text[at : at + chance.randint(1, 4)]
        elif accident == 3:
            text[at:at] = text[max(0, at - chance.randint(1, 8)) : at]
        else:
            text[at:at] = [" ", *chance.choice(WORDS), " "]
    return "".join(text)


def is_typed(line: str) -> bool:
    """Return whether a test may type this line: it ends no session and reads no file."""
    first = next(iter(line.split()), "")
    return not line.lstrip().startswith("@") and first not in NOT_TYPED
