'use strict';

// Preloaded into a program: writes its CPU profile to the directory in CPU_PROFILES when the program ends.
const { writeFileSync } = require('node:fs');
const { Session } = require('node:inspector');
const path = require('node:path');
const { isMainThread } = require('node:worker_threads');

if (isMainThread) {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.start');
  process.on('exit', () => {
    session.post('Profiler.stop', (_, { profile }) => {
      writeFileSync(
        path.join(process.env.CPU_PROFILES, `${process.pid}.cpuprofile`),
        JSON.stringify(profile),
      );
    });
  });
}
