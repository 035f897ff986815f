"""The limit of a Python process behind HTTP: a raw ASGI handler on uvicorn that reads a body and answers the same bytes."""

import os

import uvicorn

BODY = b'{"predictions":[0.12345678901234567]}'
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())],
}
END = {"type": "http.response.body", "body": BODY}


async def app(_scope, receive, send) -> None:
    """Answer every request alike."""
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(END)


if __name__ == "__main__":
    port = int(os.environ["BENCH_PORT"])
    uvicorn.run(
        app, port=port, log_level="warning", access_log=False, lifespan="off", interface="asgi3", ws="none"
    )
