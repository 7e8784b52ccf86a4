r"""Expressions in LaTeX as trees: read by a grammar of our own, without any evaluation.

What the grammar does not know is refused, never guessed: ``5 7`` is not a product, nor a sum. Time
is linear in the length of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from services.verification.spelling import canonical


class UnreadableError(ValueError):
    """The text is no expression of this grammar."""


@dataclass(frozen=True, slots=True)
class Number:
    """An exact number, as written."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Symbol:
    """A variable with its subscript and decoration, or a constant (``pi``, ``e``, ``i``)."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operation or function applied to its arguments."""

    head: str
    args: tuple[Node, ...]


Node = Number | Symbol | Call

FUNCTIONS = frozenset(
    [
        *("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "sech", "csch"),
        *("arcsin", "arccos", "arctan", "arccot", "arcsinh", "arccosh", "arctanh"),
        *("arsinh", "arcosh", "artanh", "ln", "log", "exp", "max", "min", "gcd", "lcm"),
    ]
)
_GREEK = frozenset(
    [
        *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
        *(
            "lambda",
            "mu",
            "nu",
            "xi",
            "rho",
            "sigma",
            "tau",
            "upsilon",
            "phi",
            "chi",
            "psi",
            "omega",
        ),
        *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Sigma", "Phi", "Psi", "Omega"),
        *("pi", "ell", "hbar", "odot", "oplus"),
    ]
)
_DECORATION = frozenset(["bar", "overline", "hat", "tilde", "vec", "dot", "ddot", "widehat"])
_OPAQUE = frozenset("fghFGH")
"""Letters that name a function when a bracket follows."""
_SEVERAL = frozenset(["max", "min", "gcd", "lcm"])
_CLOSED_BY = {"(": ")", "[": "]", "{": "}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
_LEXEME = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)|(?P<command>\\[A-Za-z]+)"
    r"|(?P<word>(?:arc(?:sin|cos|tan)|sin|cos|tan|cot|sec|csc|sqrt|log|ln|exp)(?![A-Za-z]))"
    r"|(?P<letter>[A-Za-z])|(?P<sign>\*\*|!!|[-+*/^_(){}\[\]|!',]))"
)
_MAX_NESTING = 40
_END = ""


@lru_cache(maxsize=1024)
def expression(text: str) -> Node:
    """Read an expression.

    Raises:
        UnreadableError: the text is not wholly an expression of this grammar.
    """
    parser = _Parser(_lexemes(canonical(text)))
    tree = parser.sum()
    if parser.peek != _END:
        raise UnreadableError(f"nothing is expected before {parser.peek!r}")
    return tree


def symbols(tree: Node) -> frozenset[str]:
    """Return the names of the variables of an expression, without the constants."""
    found: set[str] = set()
    todo: list[Node] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, Symbol):
            found.add(node.name)
        elif isinstance(node, Call):
            todo.extend(node.args)
    return frozenset(found - {"pi", "e", "i"})


def _lexemes(text: str) -> list[str]:
    found, at = [], 0
    for match in _LEXEME.finditer(text):
        if match.start() != at:
            break
        at = match.end()
        lexeme = match[0].strip()
        found.append(f"\\{lexeme}" if match["word"] else lexeme)
    if text[at:].strip():
        raise UnreadableError(f"cannot read {text[at : at + 10]!r}")
    return [*found, _END]


class _Parser:
    """Recursive descent over lexemes: sum, product, signed, power, atom."""

    def __init__(self, lexemes: list[str]) -> None:
        self._lexemes = lexemes
        self._at = 0
        self._nesting = 0
        self._bars = 0

    @property
    def peek(self) -> str:
        return self._lexemes[self._at]

    def _next(self) -> str:
        lexeme = self._lexemes[self._at]
        if lexeme == _END:
            raise UnreadableError("the text ends too early")
        self._at += 1
        return lexeme

    def _take(self, lexeme: str) -> bool:
        if self.peek == lexeme:
            self._at += 1
            return True
        return False

    def _expect(self, lexeme: str) -> None:
        if not self._take(lexeme):
            raise UnreadableError(f"{lexeme!r} is expected before {self.peek!r}")

    def sum(self) -> Node:
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            raise UnreadableError("too deep")
        terms = [self._product()]
        while self.peek in ("+", "-"):
            negative = self._next() == "-"
            term = self._product()
            terms.append(Call("-", (term,)) if negative else term)
        self._nesting -= 1
        return terms[0] if len(terms) == 1 else Call("+", tuple(terms))

    def _product(self) -> Node:
        negative = False
        while self.peek in ("+", "-"):
            negative ^= self._next() == "-"
        tree = self._power()
        while True:
            before = self._lexemes[self._at - 1]
            if self.peek in (r"\cdot", "*"):
                self._next()
                tree = Call("*", (tree, self._signed()))
            elif self.peek in ("/", r"\div"):
                self._next()
                tree = Call("/", (tree, self._signed()))
            elif self._starts_factor():
                tree = self._juxtaposed(tree, before)
            else:
                return Call("-", (tree,)) if negative else tree

    def _signed(self) -> Node:
        """Read a factor that may have a sign of its own: ``2 \\cdot -3``."""
        if self._take("-"):
            return Call("-", (self._power(),))
        return self._power()

    def _starts_factor(self) -> bool:
        lexeme = self.peek
        if lexeme == "|":
            return self._bars == 0
        return lexeme != _END and (
            lexeme[0].isalnum()
            or lexeme in ("(", "[", "{", ".")
            or (lexeme[0] == "\\" and lexeme not in (r"\cdot", r"\div", r"\rfloor", r"\rceil"))
        )

    def _juxtaposed(self, tree: Node, before: str) -> Node:
        """Read a factor that follows without a sign: a product, or the rest of a mixed number."""
        number = self.peek[0].isdigit() or self.peek[0] == "."
        if number and isinstance(tree, Number):
            raise UnreadableError("two numbers side by side")
        factor = self._power()
        if isinstance(tree, Number) and before.isdigit() and self._is_fraction(factor):
            part = _quotient(factor)
            if 0 < part < 1:
                return Number(tree.value + part)
        return Call("*", (tree, factor))

    def _is_fraction(self, node: Node) -> bool:
        return (
            isinstance(node, Call)
            and node.head == "frac"
            and all(isinstance(a, Number) and a.value.denominator == 1 for a in node.args)
        )

    def _power(self) -> Node:
        tree = self._atom()
        raised = False
        while True:
            if self._take("!!"):
                tree = self._factorial(tree, "!!", raised)
            elif self._take("!"):
                tree = self._factorial(tree, "!", raised)
            elif self.peek in ("^", "**"):
                self._next()
                if self._take(r"\circ"):
                    tree = Call("degrees", (tree,))
                    continue
                if raised:
                    raise UnreadableError("two exponents")
                raised = True
                tree = Call("^", (tree, self._argument(signed=True)))
            else:
                return tree

    def _factorial(self, tree: Node, head: str, raised: bool) -> Node:
        if raised:
            raise UnreadableError("a factorial of a power without brackets")
        return Call(head, (tree,))

    def _argument(self, signed: bool = False) -> Node:
        """Read a group in braces or brackets, or one lexeme."""
        if signed and self._take("-"):
            return Call("-", (self._argument(),))
        if self.peek in ("{", "("):
            return self._group()
        if self.peek[:1].isdigit():
            return Number(Fraction(self._next()))
        return self._atom()

    def _group(self) -> Node:
        opening = self._next()
        bars, self._bars = self._bars, 0
        tree = self.sum()
        self._bars = bars
        self._expect(_CLOSED_BY[opening])
        if opening == "[" and not (isinstance(tree, Call) and tree.head == "+"):
            raise UnreadableError("brackets around no sum: [x] may be a floor")
        return tree

    def _atom(self) -> Node:
        lexeme = self.peek
        if lexeme in ("(", "[", "{"):
            return self._group()
        if lexeme in (r"\lfloor", r"\lceil"):
            return Call("floor" if lexeme == r"\lfloor" else "ceil", (self._group(),))
        self._next()
        if lexeme[0].isdigit() or lexeme[0] == ".":
            return Number(Fraction(lexeme))
        if lexeme == "|":
            self._bars += 1
            tree = self.sum()
            self._expect("|")
            self._bars -= 1
            return Call("abs", (tree,))
        if lexeme[0] == "\\":
            return self._command(lexeme[1:])
        if lexeme.isalpha():
            return self._symbol(lexeme)
        raise UnreadableError(f"an operand is expected before {lexeme!r}")

    def _command(self, name: str) -> Node:
        if name in FUNCTIONS:
            return self._function(name)
        if name in ("frac", "binom"):
            top = self._argument()
            return Call(name, (top, self._argument()))
        if name == "sqrt":
            index = self._root_index()
            return Call("root", (self._argument(), index))
        if name == "Gamma" and self.peek == "(":
            return Call("gamma", self._arguments())
        if name in ("angle", "triangle"):
            return self._figure(name)
        if name not in _GREEK | _DECORATION:
            raise UnreadableError(f"\\{name} is unknown")
        return self._symbol(name if name in _GREEK else f"{name} {self._raw()}")

    def _figure(self, name: str) -> Node:
        """Read the points of an angle or a triangle as the name of one quantity."""
        parts = [name]
        while self.peek.isalpha():
            parts.append(self._next())
            if self._take("_"):
                parts.append(f"_{self._raw()}")
        return Symbol(" ".join(parts))

    def _root_index(self) -> Node:
        if not self._take("["):
            return Number(Fraction(2))
        index = self.sum()
        self._expect("]")
        return index

    def _raw(self) -> str:
        """Return the lexemes of a group in braces, or one lexeme, as they stand."""
        if not self._take("{"):
            return self._next()
        depth, parts = 1, []
        while depth:
            lexeme = self._next()
            depth += (lexeme == "{") - (lexeme == "}")
            parts.append(lexeme)
        return " ".join(parts[:-1])

    def _symbol(self, name: str) -> Node:
        plain = name
        if self._take("_"):
            name += f"_{self._raw()}"
        while self._take("'"):
            name += "'"
        if plain in _OPAQUE and self.peek == "(":
            return Call(f"function {name}", self._arguments())
        return Symbol(name)

    def _arguments(self) -> tuple[Node, ...]:
        self._expect("(")
        found = [self.sum()]
        while self._take(","):
            found.append(self.sum())
        self._expect(")")
        return tuple(found)

    def _function(self, name: str) -> Node:
        base: Node | None = None
        power: Node | None = None
        while self.peek in ("_", "^"):
            if self._next() == "_":
                base = self._argument()
            else:
                power = self._argument(signed=True)
        if name in _SEVERAL:
            return Call(name, self._arguments())
        if power == Call("-", (Number(Fraction(1)),)):
            name, power = f"arc{name}", None
            if name not in FUNCTIONS:
                raise UnreadableError(f"\\{name} is unknown")
        args: tuple[Node, ...] = (self._operand(),)
        if name == "log":
            args = (*args, base or Number(Fraction(10)))
        elif base is not None:
            raise UnreadableError(f"a base of {name}")
        tree = Call(name, args)
        return tree if power is None else Call("^", (tree, power))

    def _operand(self) -> Node:
        r"""Read what a function is applied to: a group, or factors up to the next sign.

        ``\sin 2x \cos y`` ends before the next function. ``\ln (x)^2`` can be meant both ways.
        """
        if self.peek in ("(", "{", "["):
            tree = self._group()
            if self.peek in ("^", "!", "**"):
                raise UnreadableError("an exponent after the bracket of a function")
            return tree
        if self._take("-"):
            return Call("-", (self._operand(),))
        tree = self._power()
        while self._starts_factor() and self.peek not in ("(", "["):
            if self.peek[1:] in FUNCTIONS:
                break
            tree = self._juxtaposed(tree, self._lexemes[self._at - 1])
        return tree


def _quotient(node: Node) -> Fraction:
    assert isinstance(node, Call)
    top, under = node.args
    assert isinstance(top, Number)
    assert isinstance(under, Number)
    return top.value / under.value if under.value else Fraction(0)
