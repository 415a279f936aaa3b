// The official JavaScript SDK as a client of the simulator.
//
//     agents_realtime.mjs URL DIRECTORY
//
// DIRECTORY is where node_modules is. Runs a text turn, a spoken answer, a turn found by the server, a tool round, a
// handoff, an interruption and an error, each in a session of its own. Fails, and says why, when a server event is not one
// that the SDK knows by its own schemas, when the server answers with an error that was not asked for, and when what came
// is not what was asked for.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// Longer than anything here takes, even on a busy machine.
const LIMIT_MS = 30_000;
const MODEL = 'gpt-realtime-2.1';

const [url, directory] = process.argv.slice(2);
assert(url && directory, 'usage: agents_realtime.mjs URL DIRECTORY');
const require = createRequire(join(resolve(directory), 'package.json'));
const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket, tool, setTracingDisabled } = {
  ...require('@openai/agents-core'),
  ...require('@openai/agents-realtime'),
};
const { z } = require('zod');
const { parseRealtimeEvent } = require(
  join(resolve(directory), 'node_modules/@openai/agents-realtime/dist/openaiRealtimeEvents.js'),
);

const getWeather = tool({
  name: 'get_weather',
  description: 'Look up the weather for a city.',
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => `It is foggy in ${city}.`,
});
const issueRefund = tool({
  name: 'issue_refund',
  description: 'Pay back what an order cost.',
  parameters: z.object({ order_id: z.string() }),
  execute: async ({ order_id }) => `Order ${order_id} is refunded.`,
});

function triage() {
  const refunds = new RealtimeAgent({
    name: 'Refunds',
    handoffDescription: 'Pays back money.',
    instructions: 'Refund gladly. Be brief.',
    tools: [issueRefund],
  });
  return new RealtimeAgent({
    name: 'Triage',
    instructions: 'Find out what the user needs.',
    tools: [getWeather],
    handoffs: [refunds],
  });
}

/** A session with all that happened in it. */
class Watched {
  constructor(modality) {
    this.raw = [];
    this.errors = [];
    this.problems = [];
    this.handoffs = [];
    this.toolEnds = [];
    this.sound = 0;
    this.interruptions = 0;
    const transport = new OpenAIRealtimeWebSocket({ url: `${url}?model=${MODEL}` });
    transport.on('*', (event) => this.take(event));
    this.session = new RealtimeSession(triage(), {
      transport,
      model: MODEL,
      config: { outputModalities: [modality] },
    });
    this.session.on('error', (error) => this.errors.push(error));
    this.session.on('audio', (event) => (this.sound += event.data.byteLength));
    this.session.on('audio_interrupted', () => (this.interruptions += 1));
    this.session.on('agent_handoff', (_context, from, to) => this.handoffs.push([from.name, to.name]));
    this.session.on('agent_tool_end', (_context, _agent, ended, result) =>
      this.toolEnds.push([ended.name, result]),
    );
  }

  take(event) {
    // What the SDK tells of itself has no id of the server's.
    if (typeof event?.event_id !== 'string') return;
    this.raw.push(event);
    const { isGeneric } = parseRealtimeEvent({ data: JSON.stringify(event) });
    if (isGeneric) this.problems.push(`unknown to the SDK: ${JSON.stringify(event)}`);
  }

  count(kind) {
    return this.raw.filter((event) => event.type === kind).length;
  }

  of(kind) {
    return this.raw.filter((event) => event.type === kind);
  }

  async until(what, reached) {
    const deadline = Date.now() + LIMIT_MS;
    while (!reached()) {
      const kinds = this.raw.map((event) => event.type);
      assert(Date.now() < deadline, `${what} did not come; there were ${kinds} and ${this.errors}`);
      await sleep(5);
    }
  }

  async responses(count) {
    await this.until(`response ${count}`, () => this.count('response.done') >= count);
    await this.until('the limits', () => this.count('rate_limits.updated') >= count);
  }

  said() {
    const parts = this.session.history
      .filter((item) => item.role === 'assistant')
      .flatMap((item) => item.content);
    return parts.map((part) => part.text ?? part.transcript ?? '').join(' ');
  }
}

function tone(millis) {
  const samples = new Int16Array(24 * millis);
  return samples.map((_, n) => 9_000 * Math.sin((2 * Math.PI * 300 * n) / 24_000)).buffer;
}

const silence = (millis) => new Int16Array(24 * millis).buffer;

const scenarios = {
  async text_turn(watched) {
    watched.session.sendMessage('Hello, how are you?');
    await watched.responses(1);
    assert.match(watched.said(), /You said: Hello, how are you\?/);
    assert.equal(watched.sound, 0, 'text answers have no sound');
  },

  async audio_turn(watched) {
    watched.session.sendMessage('Hello, how are you?');
    await watched.responses(1);
    assert.match(watched.said(), /You said: Hello, how are you\?/);
    // Six words of 200 ms each, in 16-bit PCM at 24 kHz.
    assert.equal(watched.sound, 6 * 9_600);
  },

  async spoken_turn(watched) {
    watched.session.sendAudio(tone(900));
    watched.session.sendAudio(silence(4_000));
    await watched.responses(1);
    for (const kind of ['input_audio_buffer.speech_started', 'input_audio_buffer.speech_stopped']) {
      assert.equal(watched.count(kind), 1, kind);
    }
    assert.match(watched.said(), /You said: .* seconds of audio/);
    const [heard] = watched.session.history;
    assert.match(heard.content[0].transcript, /seconds of audio/);
  },

  async tool_round(watched) {
    watched.session.sendMessage('What is the weather in London?');
    await watched.responses(2);
    assert.deepEqual(watched.toolEnds, [['get_weather', 'It is foggy in London.']]);
    assert.match(watched.said(), /get_weather says: It is foggy in London\./);
  },

  async handoff(watched) {
    watched.session.sendMessage('I want a refund for order A-17.');
    await watched.responses(3);
    assert.deepEqual(watched.handoffs, [['Triage', 'Refunds']]);
    assert.match(watched.said(), /Refund gladly\./, 'the new instructions are in force');
    assert.match(watched.said(), /Order A-17 is refunded\./, 'the new tools are in force');
  },

  async interruption(watched) {
    watched.session.sendMessage(`Say ${'and again '.repeat(200)}`);
    await watched.until('some sound', () => watched.sound > 0);
    watched.session.sendAudio(tone(200));
    await watched.responses(1);
    const [done] = watched.of('response.done');
    assert.deepEqual(done.response.status_details, { type: 'cancelled', reason: 'turn_detected' });
    assert.equal(watched.interruptions, 1);
    await watched.until('the truncation', () => watched.count('conversation.item.truncated') === 1);
    // The SDK then asks for the item, which has lost its transcript.
    await watched.until('the item', () => watched.count('conversation.item.retrieved') > 0);
  },

  async error(watched) {
    watched.session.transport.sendEvent({ type: 'response.cancel', event_id: 'mine' });
    await watched.until('the error', () => watched.errors.length > 0);
    const [{ error }] = watched.of('error');
    assert.deepEqual([error.code, error.event_id], ['response_cancel_not_active', 'mine']);
    watched.errors.length = 0;
    watched.session.sendMessage('Hello');
    await watched.responses(1);
  },
};

setTracingDisabled?.(true);
let failures = 0;
for (const [name, scenario] of Object.entries(scenarios)) {
  const watched = new Watched(['text_turn', 'tool_round'].includes(name) ? 'text' : 'audio');
  try {
    await watched.session.connect({ apiKey: 'sk-simulated' });
    await watched.until('the settings', () => watched.count('session.updated') > 0);
    await scenario(watched);
    assert.deepEqual(watched.problems, []);
    assert.deepEqual(watched.errors, []);
    console.log(`ok ${name}`);
  } catch (error) {
    failures += 1;
    console.log(`FAILED ${name}: ${error.message}`);
  } finally {
    watched.session.close();
  }
}
process.exitCode = failures ? 1 : 0;
