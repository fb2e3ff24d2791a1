/** Lists that a server gives page by page. */

/** The most that one call gives. */
export const LARGEST_PAGE = 1000;

/**
 * Every page, from the first to the last.
 *
 * @param call gives the page that a token stands for; an empty one: the first.
 */
export async function allPages<Page extends { readonly nextPageToken: string }>(
  call: (pageToken: string) => Promise<Page>,
): Promise<Page[]> {
  const pages: Page[] = [];
  let pageToken = '';
  do {
    const page = await call(pageToken);
    pages.push(page);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return pages;
}
