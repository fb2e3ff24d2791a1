/** A property that is left out where it has no value: in these types, absent and undefined are not the same. */
export function optional<N extends string, V>(name: N, value: V | undefined): { readonly [P in N]?: V } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [P in N]: V });
}
