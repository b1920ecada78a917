// What Microsoft's support asks for of a recording, as text to copy.

/** Ids, times and trace ids of `one` (an answer of `GET /recordings/{id}`). */
export function supportText(one) {
  const lines = [
    "Azure Communication Services, call recording (bring your own storage)",
    "",
    line("Recording id", one.recordingId),
    line("Call id", one.callId),
    line("Server call id", one.serverCallId),
    line("Recording started", one.recordingStartTime),
    line("Container", one.containerUrl),
    line("State in this app", one.state),
    line("Cause", one.cause),
    line("ACS may delete it from", one.atRiskFrom),
    ...(one.chunks ?? []).flatMap(chunk),
  ];
  const failures = (one.timeline ?? []).filter(
    (entry) => entry.kind === "attempt_failed" || entry.kind.startsWith("alert."),
  );
  if (failures.length) lines.push("", "What failed:");
  for (const entry of failures) {
    const span = entry.lastAt ? `${entry.at} to ${entry.lastAt}, ${entry.count} times` : entry.at;
    lines.push(`  ${span}  ${[entry.kind, entry.code, entry.detail].filter(Boolean).join("  ")}`);
  }
  return lines.filter((text) => text !== null).join("\n");
}

function line(name, value) {
  return value ? `${`${name}:`.padEnd(24)}${value}` : null;
}

function chunk(one) {
  return [
    "",
    `Chunk ${one.index}`,
    line("  Document id", one.documentId),
    line("  State", one.state),
    line("  Session end reason", one.endReason),
    ...(one.errors ?? []).map(
      (error) => `  ${error.at}  ${error.code}  ${error.message}${error.traceId ? `  trace id ${error.traceId}` : ""}`,
    ),
  ];
}
