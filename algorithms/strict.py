"""The base of every configuration model: unknown fields are errors, values never change."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Pydantic model that forbids unknown fields; field docstrings become descriptions."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )
