"""Every shape and dtype annotation of ``algorithms`` is checked while the unit tests run."""

from hypothesis import settings
from jaxtyping import install_import_hook

# The numeric tower of PEP 484: an int may stand where a float is asked for.
install_import_hook(
    "algorithms", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
)

# The same examples on every run, and no time limit for a single one: a busy machine is no defect.
settings.register_profile("laconic", deadline=None, derandomize=True)
settings.load_profile("laconic")
