"""The openai package's realtime connections, sync and async, as clients of the simulator.

    openai_client.py URL

Runs a text turn, a spoken answer, a turn found by server VAD, a tool round, a handoff, an interruption and an error with
each of the two. A scenario is a generator, so that both do the same: it yields what to do with the connection, or the
type of the event to wait for, and gets all events up to that one. Fails, and says why, when a server event does not
validate against the package's types, holds a key that they do not know, or is of an unknown type, and when what came is
not what was asked for.
"""

import array
import asyncio
import base64
import json
import math
import sys
from collections.abc import Callable, Generator
from typing import Any

from openai import AsyncOpenAI, OpenAI
from openai.types.realtime import RealtimeServerEvent

from strictness import problems

# Longer than anything here takes, even on a busy machine.
LIMIT_SECONDS = 30
MODEL = "gpt-realtime-2.1"

Event = dict[str, Any]
Scenario = Generator[Callable[[Any], Any] | str, list[Event], None]

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Look up the weather for a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TRANSFER = {
    "type": "function",
    "name": "transfer_to_refunds",
    "description": "Handoff to the Refunds agent. Pays back money.",
    "parameters": {"type": "object", "properties": {}, "required": []},
}


def update(**settings: Any) -> Callable[[Any], Any]:
    return lambda connection: connection.session.update(session={"type": "realtime", **settings})


def say(text: str) -> Callable[[Any], Any]:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return lambda connection: connection.conversation.item.create(item=item)


def respond() -> Callable[[Any], Any]:
    return lambda connection: connection.response.create()


def append(samples: list[int]) -> Callable[[Any], Any]:
    sound = base64.b64encode(array.array("h", samples).tobytes()).decode()
    return lambda connection: connection.input_audio_buffer.append(audio=sound)


def tone(millis: int) -> list[int]:
    return [int(9_000 * math.sin(2 * math.pi * 300 * n / 24_000)) for n in range(24 * millis)]


def silence(millis: int) -> list[int]:
    return [0] * (24 * millis)


def words(events: list[Event]) -> str:
    items = events[-1]["response"]["output"]
    parts = [part for item in items for part in item.get("content", [])]
    return " ".join(part.get("text") or part.get("transcript") or "" for part in parts)


def calls(events: list[Event]) -> list[Event]:
    return [item for item in events[-1]["response"]["output"] if item["type"] == "function_call"]


def answer(call: Event, output: str) -> Callable[[Any], Any]:
    item = {"type": "function_call_output", "call_id": call["call_id"], "output": output}
    return lambda connection: connection.conversation.item.create(item=item)


def of(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def text_turn() -> Scenario:
    yield update(output_modalities=["text"])
    yield "session.updated"
    yield say("Hello, how are you?")
    yield respond()
    events = yield "response.done"
    assert words(events) == "You said: Hello, how are you?", words(events)
    assert not of(events, "response.output_audio.delta"), "text answers have no sound"


def audio_turn() -> Scenario:
    yield update(output_modalities=["audio"], audio={"output": {"voice": "ash"}})
    yield "session.updated"
    yield say("Hello, how are you?")
    yield respond()
    events = yield "response.done"
    sound = b"".join(base64.b64decode(event["delta"]) for event in of(events, "response.output_audio.delta"))
    # Six words of 200 ms each, in 16-bit PCM at 24 kHz.
    assert len(sound) == 6 * 9_600, f"{len(sound)} bytes of sound"
    assert words(events) == "You said: Hello, how are you?", words(events)


def spoken_turn() -> Scenario:
    turns = {"type": "server_vad", "silence_duration_ms": 300}
    yield update(audio={"input": {"turn_detection": turns, "transcription": {"model": "whisper-1"}}})
    yield "session.updated"
    yield append(silence(500))
    yield append(tone(900))
    yield append(silence(600))
    events = yield "response.done"
    (started,) = of(events, "input_audio_buffer.speech_started")
    (stopped,) = of(events, "input_audio_buffer.speech_stopped")
    assert started["item_id"] == stopped["item_id"]
    assert 100 <= started["audio_start_ms"] <= 300 and 1_600 <= stopped["audio_end_ms"] <= 1_900
    assert of(events, "conversation.item.input_audio_transcription.completed")


def tool_round() -> Scenario:
    yield update(output_modalities=["text"], tools=[WEATHER])
    yield "session.updated"
    yield say("What is the weather in London?")
    yield respond()
    (call,) = calls((yield "response.done"))
    assert (call["name"], json.loads(call["arguments"])) == ("get_weather", {"city": "London"}), call
    yield answer(call, "It is foggy in London.")
    yield respond()
    events = yield "response.done"
    assert "It is foggy in London." in words(events), words(events)


def handoff() -> Scenario:
    yield update(output_modalities=["text"], instructions="Find out what is needed.", tools=[TRANSFER])
    yield "session.updated"
    yield say("I want a refund.")
    yield respond()
    (call,) = calls((yield "response.done"))
    assert call["name"] == "transfer_to_refunds", call
    yield update(instructions="Refund gladly. Be brief.", tools=[])
    yield answer(call, '{"assistant": "Refunds"}')
    yield respond()
    events = yield "response.done"
    (updated,) = of(events, "session.updated")
    assert updated["session"]["instructions"] == "Refund gladly. Be brief."
    assert "Refund gladly." in words(events), words(events)


def interruption() -> Scenario:
    yield update(audio={"input": {"turn_detection": {"type": "server_vad"}}})
    yield "session.updated"
    yield say("Say " + "and again " * 200)
    yield respond()
    events = yield "response.output_audio.delta"
    item_id = events[-1]["item_id"]
    yield append(tone(200))
    events = yield "response.done"
    details = events[-1]["response"]["status_details"]
    assert details == {"type": "cancelled", "reason": "turn_detected"}, details
    yield lambda connection: connection.conversation.item.truncate(
        item_id=item_id, content_index=0, audio_end_ms=100
    )
    yield "conversation.item.truncated"
    yield lambda connection: connection.conversation.item.retrieve(item_id=item_id)
    (part,) = (yield "conversation.item.retrieved")[-1]["item"]["content"]
    assert part["transcript"] is None and len(base64.b64decode(part["audio"])) == 4_800


def error() -> Scenario:
    yield lambda connection: connection.response.cancel(event_id="mine")
    events = yield "error"
    assert events[-1]["error"]["code"] == "response_cancel_not_active", events[-1]
    assert events[-1]["error"]["event_id"] == "mine", events[-1]
    yield respond()
    yield "response.done"


SCENARIOS = (text_turn, audio_turn, spoken_turn, tool_round, handoff, interruption, error)


def check(connection: Any, frame: bytes, wanted: str) -> Event:
    """Reads one frame as the package does, and more strictly."""
    connection.parse_event(frame)
    event = json.loads(frame)
    found = problems(RealtimeServerEvent, event)
    assert not found, "\n".join(found)
    assert event["type"] != "error" or wanted == "error", f"waiting for {wanted}: {event}"
    return event


def run_sync(base_url: str, scenario: Callable[[], Scenario]) -> None:
    client = OpenAI(base_url=base_url, api_key="sk-simulated")
    options = {"open_timeout": LIMIT_SECONDS, "close_timeout": LIMIT_SECONDS}
    with client.realtime.connect(model=MODEL, websocket_connection_options=options) as connection:

        def until(kind: str) -> list[Event]:
            events: list[Event] = []
            while not events or events[-1]["type"] != kind:
                events.append(check(connection, connection.recv_bytes(), kind))
            return events

        until("session.created")
        steps = scenario()
        step = next(steps)
        while True:
            try:
                step = steps.send(until(step)) if isinstance(step, str) else (step(connection), next(steps))[1]
            except StopIteration:
                return


async def run_async(base_url: str, scenario: Callable[[], Scenario]) -> None:
    client = AsyncOpenAI(base_url=base_url, api_key="sk-simulated")
    async with asyncio.timeout(LIMIT_SECONDS), client.realtime.connect(model=MODEL) as connection:

        async def until(kind: str) -> list[Event]:
            events: list[Event] = []
            while not events or events[-1]["type"] != kind:
                events.append(check(connection, await connection.recv_bytes(), kind))
            return events

        await until("session.created")
        steps = scenario()
        step = next(steps)
        while True:
            try:
                step = steps.send(await until(step)) if isinstance(step, str) else (await step(connection), next(steps))[1]
            except StopIteration:
                return


def main(url: str) -> int:
    base_url = url.replace("ws", "http", 1).removesuffix("/realtime")
    failures = 0
    for scenario in SCENARIOS:
        for name, run in (
            ("sync", lambda: run_sync(base_url, scenario)),
            ("async", lambda: asyncio.run(run_async(base_url, scenario))),
        ):
            try:
                run()
                print(f"ok {name} {scenario.__name__}")
            except Exception as error:
                failures += 1
                print(f"FAILED {name} {scenario.__name__}: {type(error).__name__}: {error}")
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
