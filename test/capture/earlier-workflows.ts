/** The workflows without a child that earlier versions lack. */
export { captureChanges } from '../../src/workflows/capture-changes.ts';
export { refuseUnknownType as default } from '../../src/workflows/unknown-type.ts';
