/** What `startWorkerProcess` expects of a worker, and nothing else. */
const staying = setInterval(() => {}, 60_000);
process.once('SIGTERM', () => {
  console.error('finished');
  clearInterval(staying);
});
// Last, as whoever reads it may signal at once.
console.error(
  JSON.stringify({ level: 'INFO', message: 'worker ready', address: process.env['TEMPORAL_ADDRESS'] }),
);
