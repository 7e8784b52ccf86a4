"""One spelling for texts that differ in layout only: Unicode, spacing, delimiters, wrappers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("‐‑−–‒﹣", "-"),
        **dict.fromkeys("\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f", " "),
        **dict.fromkeys("′’‘", "'"),
        **dict.fromkeys("″”“", "''"),
        **{"×": r"\cdot ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "÷": "/", "⁄": "/"},
        **{"±": r"\pm ", "∓": r"\mp ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx "},
        **{"⩽": r"\le ", "⩾": r"\ge ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in "},
        **{"∅": r"\emptyset ", "∞": r"\infty ", "°": r"^\circ ", "…": r"\ldots ", "∠": r"\angle "},
        **{"˚": r"^\circ ", "º": r"^\circ ", "µ": r"\mu "},
        **{"ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}"},
        **{"½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}"},
        **{"¾": r"\frac{3}{4}", "⅕": r"\frac{1}{5}", "⅙": r"\frac{1}{6}", "⅛": r"\frac{1}{8}"},
        **{"α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "ε": r"\epsilon "},
        **{"θ": r"\theta ", "λ": r"\lambda ", "μ": r"\mu ", "ν": r"\nu ", "π": r"\pi "},
        **{"ρ": r"\rho ", "σ": r"\sigma ", "τ": r"\tau ", "φ": r"\phi ", "ϕ": r"\phi "},
        **{"ω": r"\omega ", "Ω": r"\Omega ", "Δ": r"\Delta ", "ħ": r"\hbar "},
    }
)
_STYLED = str.maketrans(
    {
        chr(code): unicodedata.normalize("NFKC", chr(code))
        for code in (*range(0xFF01, 0xFF5F), *range(0x1D400, 0x1D800))
    }
)
"""Full width and mathematical alphabets: the same characters in another style."""
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_RAISED_RUN = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+")
_LOWERED_RUN = re.compile(r"[₀₁₂₃₄₅₆₇₈₉]+")
_NARROW_THOUSANDS = re.compile(r"(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))")
_ROOT_SIGN = re.compile(r"([√∛∜])\s*(?:([0-9]+(?:\.[0-9]+)?|[A-Za-z])|\(([^()]*)\)|(?=\{))")
_ROOTS = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}

_THIN_THOUSANDS = re.compile(r"(?<=[0-9])(?:\\[,;: ]|\\!|\{,\}|,\\!)\s*(?=[0-9]{3}(?![0-9]))")
_APPLIED = re.compile(r"(?<![A-Za-z\\])([A-Za-z])\{(\([^(){}]*\))\}")
_NO_DELIMITER = re.compile(r"\\(?:left|right)\s*\.")
_SPACING = re.compile(r"(?<!\\)\\[!,;:> ]|\\hspace\*?\s*\{[^{}]*\}")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_COMMANDS = {
    name: meaning
    for meaning, names in {
        "": "left right middle big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle "
        "scriptstyle limits nolimits tiny scriptsize footnotesize small normalsize large Large "
        "LARGE huge Huge",
        " ": "quad qquad thinspace enspace",
        r"\frac": "dfrac tfrac cfrac nicefrac sfrac",
        r"\binom": "dbinom tbinom",
        r"\cdot": "times ast",
        r"\div": "div",
        r"\le": "leq leqslant",
        r"\ge": "geq geqslant",
        r"\ne": "neq",
        "<": "lt",
        ">": "gt",
        r"\ldots": "dots cdots dotsc dotsb dotsm",
        r"\emptyset": "varnothing",
        r"\{": "lbrace",
        r"\}": "rbrace",
        "[": "lbrack",
        "]": "rbrack",
        "|": "lvert rvert vert mid",
        r"\text": "textbf textit textrm textsf textnormal mathrm mathsf mbox hbox operatorname",
        r"\bold": "mathbf boldsymbol bm mathit",
        r"\phi": "varphi",
        r"\epsilon": "varepsilon",
        r"\implies": "Rightarrow Longrightarrow",
        "^\\circ": "degree",
        r"\angle": "measuredangle",
        r"\lor": "vee",
        r"\land": "wedge",
        r"\\": "cr newline",
    }.items()
    for name in names.split()
}
_BOLD = re.compile(r"\\bold\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_CONSTANT = re.compile(r"\\text\s*\{\s*([eid])\s*\}")
_OVER = re.compile(r"\{([^{}]*)\\over(?![A-Za-z])([^{}]*)\}")
_BARE_BOARD = re.compile(r"\\mathbb\s*([A-Z])")
_MARK = re.compile(r"\\text\s*\{\s*([-+:,;.])\s*\}")
_OLD_STYLE = re.compile(r"\{\\(?:rm|bf|it)\s+([^{}]*)\}")
_FUNCTION = re.compile(
    r"\\text\s*\{\s*(a(?:rc|r)?(?:sin|cos|tan)h?|(?:sin|cos|tan|cot|sec|csc)h?|ln|log|exp|max)"
    r"\s*\}|(?<![0-9}])(?<![0-9}] )\\text\s*\{\s*(min)\s*\}"
)
"""After a number ``\\text{min}`` is a minute."""
_CIRCLE = re.compile(r"\^\s*\{\s*\\circ\s*\}|\^\s*\\circ(?![A-Za-z])")
_PRIME = re.compile(r"\^\s*\{((?:\s*\\prime)+)\s*\}|\^\s*\\prime(?![A-Za-z])")
_BARE_SCRIPT = re.compile(r"([_^])\s*(-?[0-9]+|-?[A-Za-z]|\\[A-Za-z]+(?![A-Za-z{]))")
_BARE_FRACTION = re.compile(r"\\frac\s*(?:([0-9A-Za-z])|(\{[^{}]*\}))\s*(?:([0-9A-Za-z])|(?=\{))")
_BARE_ROOT = re.compile(r"\\sqrt\s*(\[[^\[\]]*\])?\s*([0-9A-Za-z])")
_SPACE_BEFORE_DIGIT = re.compile(r"(\\[A-Za-z]+) (?=[0-9])")
_IDLE_SPACE = re.compile(
    r"(?<![0-9A-Za-z,]) | (?![0-9A-Za-z])|(?<=,) (?![0-9]{3}(?![0-9]))|(?<![0-9],)(?<=,) "
)
"""Every space but one between two words, and one that tells ``100, 200`` from a thousands comma."""
_COLOUR = re.compile(r"\\(?:text)?color\s*\{[A-Za-z]{1,20}\}")
_SWITCH = re.compile(r"\\(?:bf|rm|it)(?![A-Za-z])")
_UNDERLINE = re.compile(r"\\underline\s*\{([^{}]*)\}")
_MODULUS = re.compile(
    r"\(?\s*(?:\\(?:pmod|mod|bmod)|\\text\{\s*mod\s*\})\s*(?:\{([^{}]*)\}|([0-9A-Za-z]+))\s*\)?"
)
_MODULUS_IN_WORDS = re.compile(r"\\text\s*\{\s*\(?\s*mod(?:ulo)?\s+([0-9]+)\s*\)?\s*\}")
_OUTWARD = re.compile(r"(\A|=|\\(?:in|cup|cap))([\[\](])([^\[\]()]*)([\[\])])(?=\Z|\\c[au]p)")
_SEVERAL = re.compile("[,;]")
_DELIMITERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"))
_WRAPPER = re.compile(r"\\text\s*\{([^{}]*)\}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_DOLLAR = re.compile(r"(?<!\\)\$")
_BRACES = re.compile(r"\{[^{}]*\}")


def _braced_fraction(found: re.Match[str]) -> str:
    top = found[2] or f"{{{found[1]}}}"
    return rf"\frac{top}" + (f"{{{found[3]}}}" if found[3] else "")


_STEPS: tuple[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    ("{\\", _OLD_STYLE, r"\\text{\1}"),
    ("color", _COLOUR, ""),
    ("\\", _SWITCH, ""),
    ("underline", _UNDERLINE, r"\1"),
    ("mod", _MODULUS_IN_WORDS, r"\\pmod{\1}"),
    ("mod", _MODULUS, lambda m: rf"\pmod{{{m[1] or m[2]}}}"),
    ("mathbb", _BARE_BOARD, r"\\mathbb{\1}"),
    ("\\over", _OVER, r"\\frac{\1}{\2}"),
    ("\\text", _MARK, r"\1"),
    ("\\bold", _BOLD, r"\1"),
    ("\\text", _CONSTANT, r"\1"),
    ("\\text", _FUNCTION, r"\\\1\2 "),
    ("circ", _CIRCLE, r"^\\circ "),
    ("prime", _PRIME, lambda m: "'" * max(1, (m[1] or "").count("prime"))),
    ("sqrt", _BARE_ROOT, r"\\sqrt\1{\2}"),
    ("frac", _BARE_FRACTION, _braced_fraction),
)
"""What is written plainly, in this order: a mark without which nothing is, what, and how."""


@lru_cache(maxsize=16384)
def canonical(text: str) -> str:
    r"""Return one spelling for all texts that look the same, or mean the same by layout alone.

    ``\dfrac12`` and ``\frac{1}{2}``, ``E_{1}`` and ``E_1``, ``\left( 1,\, 2 \right)`` and
    ``(1,2)``, ``x²`` and ``x^{2}`` have the same one. Idempotent. Nothing is evaluated, and the
    length of the text is all that bounds the time.
    """
    s = text if text.isascii() else _ascii(text)
    s = _THIN_THOUSANDS.sub("", s)
    if "\\" in s:
        s = _COMMAND.sub(lambda m: _COMMANDS.get(m[1], m[0]), _NO_DELIMITER.sub("", s))
        s = _SPACING.sub(" ", s)
        for mark, pattern, plain in _STEPS:
            if mark in s:
                s = pattern.sub(plain, s)
    s = s.replace("~", " ").replace("{:}", ":").replace("...", r"\ldots ")
    s = _BARE_SCRIPT.sub(_braced_script, s)
    s = _unwrapped(" ".join(s.split()))
    s = _IDLE_SPACE.sub("", _SPACE_BEFORE_DIGIT.sub(r"\1", s))
    if "]" in s or "[" in s:
        s = _OUTWARD.sub(_round, s)
    return _APPLIED.sub(r"\1\2", s)


def _ascii(text: str) -> str:
    s = _NARROW_THOUSANDS.sub("", text)
    s = _RAISED_RUN.sub(lambda m: f"^{{{m[0].translate(_RAISED)}}}", s)
    s = _LOWERED_RUN.sub(lambda m: f"_{{{m[0].translate(_LOWERED)}}}", s)
    s = _ROOT_SIGN.sub(_root, s.translate(_STYLED))
    return s.translate(_CHARACTERS)


def _root(found: re.Match[str]) -> str:
    sign, *alternatives = found.groups()
    under = next((u for u in alternatives if u), None)
    return _ROOTS[sign] + (f"{{{under}}}" if under else "")


def _braced_script(found: re.Match[str]) -> str:
    mark, script = found.groups()
    return f"{mark}{script}" if script == r"\circ" else f"{mark}{{{script}}}"


def _round(found: re.Match[str]) -> str:
    """Write an open end of an interval as a round bracket: ``]0,1[`` is ``(0,1)``."""
    before, opening, ends, closing = found.groups()
    if not _SEVERAL.search(ends):
        return found[0]
    return f"{before}{'(' if opening == ']' else opening}{ends}{')' if closing == '[' else closing}"


def _unwrapped(text: str) -> str:
    """Remove a final dot, and what encloses the whole text: delimiters, ``\\text{}``, braces."""
    before = None
    s = text
    while s != before:
        before = s
        s = s.strip().removesuffix("\\\\").strip().removesuffix(".").strip()
        for opening, closing in _DELIMITERS:
            inner = s[len(opening) : -len(closing)]
            if s.startswith(opening) and s.endswith(closing) and inner and opening not in inner:
                s = inner.strip()
        if whole := _WRAPPER.fullmatch(s):
            s = whole[1].strip()
        elif _BRACES.fullmatch(s):
            s = s[1:-1].strip()
    return _DOLLAR.sub("", s) if len(_DOLLAR.findall(s)) in (2, 4, 6, 8) else s


def hidden_character(text: str) -> bool:
    """Whether the text has a character that cannot be seen, or has no meaning of its own.

    Controls, formats (zero width, direction), surrogates and private ones: what is read would not
    be what is shown.
    """
    if text.isascii():
        return _CONTROL.search(text) is not None
    return any(
        unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") for c in text if c not in "\n\t\r"
    )
