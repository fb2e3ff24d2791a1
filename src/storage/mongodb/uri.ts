/** What a MONGODB_URI says by itself, without the driver. */

const DEFAULT_DATABASE = 'gatehouse';

/** Whether this names a database of MongoDB. */
export function isMongoUri(location: string): boolean {
  return /^mongodb(\+srv)?:\/\//.test(location);
}

/** Which database on which servers a URI names, without the user and password that it may hold. */
export function locate(uri: string): { readonly database: string; readonly place: string } {
  const [, servers = '', path = ''] = /^[^/]*\/\/(?:[^/]*@)?([^/?]*)(?:\/([^?]*))?/.exec(uri) ?? [];
  const database = path === '' ? DEFAULT_DATABASE : decodeURIComponent(path);
  return { database, place: `${servers}/${database}` };
}
