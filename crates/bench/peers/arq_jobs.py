"""Empty jobs through arq: python arq_jobs.py PORT JOBS prints the seconds from the first job added to the last one done."""

import asyncio
import sys
import time

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker


async def empty(_context):
    return None


async def main(port: int, jobs: int) -> None:
    settings = RedisSettings(host="127.0.0.1", port=port)
    pool = await create_pool(settings)
    begun = time.monotonic()
    for first in range(0, jobs, 200):
        count = min(200, jobs - first)
        await asyncio.gather(*(pool.enqueue_job("empty") for _ in range(count)))
    worker = Worker(
        functions=[empty],
        redis_settings=settings,
        burst=True,
        max_jobs=200,
        poll_delay=0.01,
        keep_result=0,
        handle_signals=False,
    )
    await worker.async_run()
    took = time.monotonic() - begun
    if worker.jobs_complete != jobs:
        raise SystemExit(f"{worker.jobs_complete} of {jobs} jobs were done")
    await worker.close()
    print(took)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
