import type { ConnectionOptions } from '@temporalio/client';

/**
 * Returns options that lead to a server on this machine without the proxy of `http_proxy` and `https_proxy`, as the
 * `temporal` command line goes there: the proxy of a company does not lead back, and has this machine in `no_proxy` only
 * if somebody thought of it.
 */
export function withoutProxyOnLoopback<Options extends Pick<ConnectionOptions, 'address'>>(
  options: Options,
): Options & ConnectionOptions {
  if (!isLoopback(options.address ?? 'localhost')) return options;
  return { ...options, channelArgs: { 'grpc.enable_http_proxy': 0 } };
}

const isLoopback = (address: string): boolean =>
  /^(localhost|127(\.\d+){3}|\[::1\]|::1)(:\d+)?$/i.test(address);
