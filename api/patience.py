"""How long a control plane that is out of reach is waited for: it may just be starting again."""

from __future__ import annotations

import time
from typing import Final

from api.transport import ApiError, Unreachable

PATIENCE_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 1.0
"""Between two looks at a control plane that is away, or at a job that goes on."""
_STARTING: Final = 503


class Patience:
    """Counts from the first time that it is missed to the next time that it is there."""

    def __init__(self, seconds: float = PATIENCE_SECONDS) -> None:
        self._seconds = seconds
        self._lost: float | None = None

    def there(self) -> None:
        """It has answered."""
        self._lost = None

    def missed(self, error: ApiError | Unreachable) -> None:
        """It has not answered, or not yet.

        Raises:
            ApiError: ``error``, which is a refusal.
            Unreachable: ``error``, after too long.
        """
        if isinstance(error, ApiError) and error.status != _STARTING:
            raise error
        self._lost = self._lost or time.monotonic()
        if time.monotonic() - self._lost > self._seconds:
            raise error
