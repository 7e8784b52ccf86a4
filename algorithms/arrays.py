"""The array type that shape annotations wrap: precise at run time, plain for the type checker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    Array = NDArray[Any]
else:
    Array = np.ndarray
