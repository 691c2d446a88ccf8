/** A file that is served as it is. */
export interface Asset {
  readonly body: Uint8Array;
  /** Strong HTTP entity tag with its quotes; changes whenever the file does. */
  readonly etag: string;
}

/** A fixed set of files, for example the built web page. */
export interface AssetDirectory {
  /**
   * @param path relative, with forward slashes: `index.html`, `assets/page.js`. It is looked up among the
   * files that exist, never joined to a directory, so `..` finds nothing.
   * @returns the file, or undefined when there is none of that name.
   */
  read(path: string): Promise<Asset | undefined>;
}
