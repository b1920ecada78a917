// Drives the ACS emulator with the real JavaScript SDK through a recording's life, and prints as one JSON object
// what the SDK made of each answer; test_javascript_sdk.py compares that with the emulator's truth.
//
// Usage: node conformance.mjs ORIGIN CONNECTION_STRING CONTAINER_URL
import { createHash } from "node:crypto";
import { createRequire } from "node:module";

// The packages live beside the local services, where module resolution from here does not look.
const require = createRequire(new URL("../../../../local/package.json", import.meta.url));
const { CallAutomationClient } = require("@azure/communication-call-automation");
const { createDefaultHttpClient } = require("@azure/core-rest-pipeline");

const [origin, connectionString, containerUrl] = process.argv.slice(2);

// As in the Python transport: the URL that the SDK checks and signs stays the service's; only the request's
// way is changed, below all policies, and the service's name travels in the Host header.
const network = createDefaultHttpClient();
const rerouted = {
  async sendRequest(request) {
    const meant = request.url;
    const url = new URL(meant);
    request.headers.set("Host", url.host);
    request.url = origin + url.pathname + url.search;
    request.allowInsecureConnection = true;
    try {
      return await network.sendRequest(request);
    } finally {
      request.url = meant;
    }
  },
};

async function control(path, body) {
  const response = await fetch(`${origin}/_control/${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok) {
    throw new Error(`control plane: ${response.status} ${await response.text()}`);
  }
  return response.json();
}

async function digest(stream) {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of stream) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}

// What a call that must fail is refused with: the HTTP status and, where the service gives one, its code.
async function refusal(work) {
  try {
    await work();
  } catch (error) {
    return { status: error.statusCode ?? error.status ?? null, code: error.code ?? null, message: error.message };
  }
  return null;
}

const options = { httpClient: rerouted, retryOptions: { maxRetries: 0 } };
const recordings = new CallAutomationClient(connectionString, options).getCallRecording();
const call = await control("calls", {});
const callLocator = { id: call.serverCallId, kind: "serverCallLocator" };
const wanted = {
  callLocator,
  recordingContent: "audio",
  recordingChannel: "mixed",
  recordingFormat: "mp3",
  recordingStorage: { recordingStorageKind: "azureBlobStorage", recordingDestinationContainerUrl: containerUrl },
};

const result = {};
result.started = await recordings.start(wanted);
const { recordingId } = result.started;
result.startedTwice = await refusal(() => recordings.start(wanted));
await recordings.pause(recordingId);
result.paused = await recordings.getState(recordingId);
await recordings.resume(recordingId);
result.resumed = await recordings.getState(recordingId);
await recordings.stop(recordingId);
result.unknown = await refusal(() => recordings.getState("bm90LXRoZXJl"));
result.noCall = await refusal(() => recordings.start({ ...wanted, callLocator: { ...callLocator, id: "bm9uZQ==" } }));

// The same again in the call's next recording, whose export fails: its media stay in ACS.
result.second = await recordings.start(wanted);
await control(`calls/${call.callId}/end`, { chunks: [{ bytes: 300000 }], export: "role-missing" });
await control("idle", {});
result.truth = await control(`recordings/${encodeURIComponent(result.second.recordingId)}`);
const [chunk] = result.truth.chunks;
result.whole = await digest(await recordings.downloadStreaming(chunk.contentLocation));
result.part = await digest(await recordings.downloadStreaming(chunk.contentLocation, { offset: 1000, length: 500 }));
result.rest = await digest(await recordings.downloadStreaming(chunk.contentLocation, { offset: 299000 }));
result.metadata = await digest(await recordings.downloadStreaming(chunk.metadataLocation));
await recordings.delete(chunk.deleteLocation);
result.deleted = await refusal(() => recordings.downloadStreaming(chunk.contentLocation));
result.foreign = await refusal(() => recordings.downloadStreaming("https://asm.skype.com.example.org/v1/objects/x"));

console.log(JSON.stringify(result));
