/** The minimum that `startWorkerProcess` expects of a worker. */
const staying = setInterval(() => {}, 60_000);
process.once('SIGTERM', () => {
  console.error('finished');
  clearInterval(staying);
});
// Last, because the reader may send a signal at once.
console.error(
  JSON.stringify({ level: 'INFO', message: 'worker ready', address: process.env['TEMPORAL_ADDRESS'] }),
);
