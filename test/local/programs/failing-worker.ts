console.error('no such database');
process.exit(3);
