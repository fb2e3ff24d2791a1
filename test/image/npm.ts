/** npm's own set-up on this machine, for an environment that has nothing else of it. */

import { homedir } from 'node:os';
import { join } from 'node:path';

// Which registry is asked, through what, and whose certificate it shows. A build behind a proxy is told the same.
const SET_UP =
  /^(npm_config_(userconfig|globalconfig|cache|registry|cafile)|(https?|no|all)_proxy|node_extra_ca_certs|ssl_cert_(file|dir))$/i;

/** Without it, npm would look for both in HOME, which is empty there. */
const DEFAULTS = {
  npm_config_userconfig: join(homedir(), '.npmrc'),
  npm_config_cache: join(homedir(), '.npm'),
};

export function npmSetUp(): Record<string, string | undefined> {
  const found = Object.entries(process.env).filter(([name]) => SET_UP.test(name));
  return { ...DEFAULTS, ...Object.fromEntries(found), npm_config_prefer_offline: 'true' };
}
