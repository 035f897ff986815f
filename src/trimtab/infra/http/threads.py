"""The threads that handlers run in: they write to the database together, so there are more of them than cores."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_MOST_AT_ONCE = 40

_pool = ThreadPoolExecutor(max_workers=_MOST_AT_ONCE, thread_name_prefix="http")


async def in_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns that may wait, without holding up the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_pool, call, *arguments)
