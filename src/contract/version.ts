/** The version of this project, for the manifest; a test holds it to that of package.json. */
export const VERSION = '0.1.0';
