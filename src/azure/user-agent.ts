import manifest from '../../package.json' with { type: 'json' };

/** Goes in front of the SDK's own User-Agent, so that Azure's support can tell our calls from others of the same app. */
export const userAgentPrefix = `apono-sentinel/${manifest.version}`;
