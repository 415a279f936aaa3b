"""The official Python SDK as a client of the simulator.

    simulator_client.py URL

Runs a text turn, a spoken answer, a turn found by the server and one committed by hand, a tool round, a handoff, an
interruption by the user's voice and one by the application, and an error, each in a session of its own. Fails, and says
why, when a server event does not validate against the openai package's types, holds a key that they do not know,
or is of an unknown type; when the SDK logs a warning or an error; when the server answers anything with an error
event; and when what came is not what was asked for.
"""

import array
import asyncio
import logging
import math
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

from agents import function_tool, set_tracing_disabled
from agents.realtime import RealtimeAgent, RealtimeModelSendRawMessage, RealtimeRunner, RealtimeSession, realtime_handoff
from openai.types.realtime import RealtimeServerEvent

from strictness import problems

# Longer than anything here takes, even on a busy machine.
LIMIT_SECONDS = 30


class Log(logging.Handler):
    """Keeps what the SDK complains about."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.complaints.append(f"{record.levelname} {record.name}: {record.getMessage()}")


class Watched:
    """A session with all that happened in it."""

    def __init__(self, session: RealtimeSession) -> None:
        self.session = session
        self.events: list[Any] = []
        self.raw: list[dict[str, Any]] = []
        self.problems: list[str] = []

    def take(self, event: Any) -> None:
        self.events.append(event)
        if event.type == "error":
            self.problems.append(f"an error event: {event.error}")
        if event.type != "raw_model_event":
            return
        data = event.data
        if data.type == "exception":
            self.problems.append(f"the SDK failed: {data.context}: {data.exception!r}")
        if data.type == "raw_server_event":
            self.raw.append(data.data)
            self.problems.extend(problems(RealtimeServerEvent, data.data))

    async def until(self, what: str, reached: Callable[["Watched"], bool]) -> None:
        """Takes events until a condition holds."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                while not reached(self):
                    self.take(await anext(self.iterator))
        except TimeoutError:
            raise AssertionError(f"{what} did not come; there were {self.kinds()}") from None

    async def follow(self) -> None:
        self.iterator = aiter(self.session)

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.raw]

    def count(self, kind: str) -> int:
        return self.kinds().count(kind)

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.type == kind]

    async def responses(self, count: int) -> None:
        await self.until(f"response {count}", lambda watched: watched.count("response.done") >= count)
        # The limits trail the response; taking them in keeps the turns apart.
        await self.until("the limits", lambda watched: watched.count("rate_limits.updated") >= count)

    def said(self) -> str:
        """All words of the assistant, as the SDK's history has them."""
        words = []
        for item in self.session._history:
            if getattr(item, "role", None) == "assistant":
                for part in item.content:
                    words.append(getattr(part, "text", None) or getattr(part, "transcript", None) or "")
        return " ".join(words)


@function_tool
def get_weather(city: str) -> str:
    """Look up the weather for a city."""
    return f"It is foggy in {city}."


@function_tool
def issue_refund(order_id: str) -> str:
    """Pay back what an order cost."""
    return f"Order {order_id} is refunded."


def triage() -> RealtimeAgent:
    refunds = RealtimeAgent(
        name="Refunds",
        handoff_description="Pays back money.",
        instructions="Refund gladly. Be brief.",
        tools=[issue_refund],
    )
    return RealtimeAgent(
        name="Triage",
        instructions="Find out what the user needs.",
        tools=[get_weather],
        handoffs=[realtime_handoff(refunds)],
    )


@asynccontextmanager
async def session(url: str, modality: str):
    runner = RealtimeRunner(
        triage(),
        config={"model_settings": {"model_name": "gpt-realtime-2.1", "output_modalities": [modality]}},
    )
    opened = await runner.run(model_config={"url": f"{url}?model=gpt-realtime-2.1", "api_key": "sk-simulated"})
    async with asyncio.timeout(LIMIT_SECONDS * 4):
        async with opened:
            watched = Watched(opened)
            await watched.follow()
            # The SDK sends its settings, and on session.created the tracing ones.
            await watched.until("two updates", lambda watched: watched.count("session.updated") == 2)
            yield watched
            assert not watched.problems, "\n".join(watched.problems)


async def text_turn(url: str) -> None:
    async with session(url, "text") as watched:
        await watched.session.send_message("Hello, how are you?")
        await watched.responses(1)
        assert "You said: Hello, how are you?" in watched.said(), watched.said()
        assert not watched.of("audio"), "text answers have no sound"
        assert watched.of("agent_start") and watched.of("agent_end")


async def audio_turn(url: str) -> None:
    async with session(url, "audio") as watched:
        await watched.session.send_message("Hello, how are you?")
        await watched.responses(1)
        assert "You said: Hello, how are you?" in watched.said(), watched.said()
        sound = b"".join(event.audio.data for event in watched.of("audio"))
        # Six words of 200 ms each, in 16-bit PCM at 24 kHz.
        assert len(sound) == 6 * 9_600, f"{len(sound)} bytes of sound"
        assert any(sound), "the sound is not silence"
        await watched.until("the end of the audio", lambda watched: bool(watched.of("audio_end")))


def tone(millis: int) -> bytes:
    samples = (int(9_000 * math.sin(2 * math.pi * 300 * n / 24_000)) for n in range(24 * millis))
    return array.array("h", samples).tobytes()


async def spoken_turn(url: str) -> None:
    async with session(url, "audio") as watched:
        # The SDK's own turn detection is the semantic one, which waits for two seconds of silence here.
        await watched.session.send_audio(tone(900))
        await watched.session.send_audio(b"\0" * 48 * 3_000)
        await watched.responses(1)
        for kind in ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"):
            assert watched.count(kind) == 1, kind
        assert "seconds of audio" in watched.said(), watched.said()


async def committed_turn(url: str) -> None:
    async with session(url, "audio") as watched:
        await watched.session.send_audio(b"\0" * 48_000, commit=True)
        done = "conversation.item.input_audio_transcription.completed"
        await watched.until("the transcript", lambda watched: watched.count(done) == 1)
        assert watched.count("input_audio_buffer.committed") == 1


async def tool_round(url: str) -> None:
    async with session(url, "text") as watched:
        await watched.session.send_message("What is the weather in London?")
        await watched.responses(2)
        (ended,) = watched.of("tool_end")
        assert ended.output == "It is foggy in London.", ended.output
        assert "get_weather says: It is foggy in London." in watched.said(), watched.said()


async def handoff(url: str) -> None:
    async with session(url, "audio") as watched:
        await watched.session.send_message("I want a refund for order A-17.")
        await watched.responses(3)
        (handed,) = watched.of("handoff")
        assert (handed.from_agent.name, handed.to_agent.name) == ("Triage", "Refunds")
        assert "You are now talking to Refunds." in watched.said(), watched.said()
        assert "Refund gladly." in watched.said(), "the new instructions are in force"
        assert "Order A-17 is refunded." in watched.said(), "the new tools are in force"


async def interruption(url: str) -> None:
    async with session(url, "audio") as watched:
        await watched.session.send_message("Say " + "and again " * 200)
        await watched.until("some sound", lambda watched: len(watched.of("audio")) > 3)
        await watched.session.send_audio(tone(200))
        await watched.responses(1)
        (done,) = [event for event in watched.raw if event["type"] == "response.done"]
        details = done["response"]["status_details"]
        assert details == {"type": "cancelled", "reason": "turn_detected"}, details
        assert watched.of("audio_interrupted"), "the application is told"


async def error(url: str) -> None:
    async with session(url, "text") as watched:
        message = RealtimeModelSendRawMessage(message={"type": "response.cancel", "other_data": {"event_id": "mine"}})
        await watched.session.model.send_event(message)
        await watched.until("the error", lambda watched: bool(watched.of("error")))
        (event,) = [event for event in watched.raw if event["type"] == "error"]
        assert event["error"]["code"] == "response_cancel_not_active", event
        assert event["error"]["event_id"] == "mine", event
        watched.problems.clear()
        await watched.session.send_message("Hello")
        await watched.responses(1)


async def explicit_interruption(url: str) -> None:
    async with session(url, "audio") as watched:
        await watched.session.send_message("Say " + "and again " * 200)
        await watched.until("some sound", lambda watched: len(watched.of("audio")) > 3)
        await watched.session.interrupt()
        await watched.until(
            "the truncation", lambda watched: watched.count("conversation.item.truncated") == 1
        )
        # The SDK then asks for the item, which has lost its transcript and keeps the sound that was heard.
        await watched.until("the item", lambda watched: watched.count("conversation.item.retrieved") == 1)


SCENARIOS = (
    text_turn,
    audio_turn,
    spoken_turn,
    committed_turn,
    tool_round,
    handoff,
    interruption,
    explicit_interruption,
    error,
)


async def main(url: str) -> int:
    set_tracing_disabled(True)
    log = Log()
    logging.getLogger("openai.agents").addHandler(log)
    failures = 0
    for scenario in SCENARIOS:
        log.complaints.clear()
        try:
            await scenario(url)
            assert not log.complaints, "\n".join(log.complaints)
            print(f"ok {scenario.__name__}")
        except Exception as error:
            failures += 1
            print(f"FAILED {scenario.__name__}: {type(error).__name__}: {error}")
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(sys.argv[1])))
