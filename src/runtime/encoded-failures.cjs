const { DefaultFailureConverter } = require('@temporalio/common');

/**
 * Puts messages and stack traces of failures into payloads, which the codec encrypts.
 * Temporal loads it by its path, with `require`, into the worker and into the workflow bundle.
 */
exports.failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
