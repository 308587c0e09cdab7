// The shared structures of libvirt's remote protocol (src/remote/remote_protocol.x), by hand.
import type { TypedParamInput, TypedParams } from '../hypervisor.ts';
import { array, int, optional, size, string, struct, uuid, type Codec } from './codec.ts';
import { NameCache, XdrError, type XdrReader, type XdrWriter } from './xdr.ts';

/** most objects of one kind in one reply (REMOTE_DOMAIN_LIST_MAX and its siblings) */
export const listMax = 16_384;

/** remote_nonnull_domain; `id` is -1 while it does not run. The daemon looks only at the UUID. */
export const domain = struct({ name: string, uuid, id: int });
export const pool = struct({ name: string, uuid });
export const network = struct({ name: string, uuid });
export const volume = struct({ pool: string, name: string, key: string });
export const snapshot = struct({ name: string, domain });

/** virNetMessageError: what a reply or a stream carries when its status is error */
export const remoteError = struct({
  code: int, domain: int, message: optional(string), level: int,
  dom: optional(domain), str1: optional(string), str2: optional(string), str3: optional(string),
  int1: int, int2: int, net: optional(network),
});

const fieldNames = new NameCache();

/** virTypedParameterType */
const paramType = { int: 1, uint: 2, llong: 3, ullong: 4, double: 5, boolean: 6, string: 7 } as const;

function readParamValue(reader: XdrReader): number | bigint | string | boolean {
  const type = reader.int();
  switch (type) {
    case paramType.int: return reader.int();
    case paramType.uint: return reader.uint();
    case paramType.llong: return reader.hyper();
    case paramType.ullong: return reader.uhyper();
    case paramType.double: return reader.double();
    case paramType.boolean: return reader.bool();
    case paramType.string: return reader.string();
    default: throw new XdrError(`typed parameter of type ${type}`);
  }
}

function writeParamValue(writer: XdrWriter, input: TypedParamInput): void {
  if (!Object.hasOwn(paramType, input.type)) throw new XdrError(`typed parameter of type ${input.type}`);
  writer.int(paramType[input.type]);
  switch (input.type) {
    case 'int': return writer.int(input.value);
    case 'uint': return writer.uint(input.value);
    case 'llong': return writer.hyper(input.value);
    case 'ullong': return writer.uhyper(input.value);
    case 'double': return writer.double(input.value);
    case 'boolean': return writer.bool(input.value);
    case 'string': return writer.string(input.value);
  }
}

/** a list stands for several parameters of one name */
export type TypedParamInputs = Readonly<Record<string, TypedParamInput | readonly TypedParamInput[]>>;

/** `remote_typed_param params<maxParams>` as one object; the last of a repeated name wins */
export function typedParams(maxParams: number): Codec<TypedParams, TypedParamInputs> {
  return {
    minBytes: 4,
    read(reader) {
      const params: Record<string, number | bigint | string | boolean> = {};
      for (let left = reader.count(maxParams, 12); left > 0; left--) {
        const name = reader.name(fieldNames);
        params[name] = readParamValue(reader);
      }
      return params;
    },
    write(writer, params) {
      const entries = Object.entries(params).flatMap(([name, input]) => ('type' in input ? [input] : input).map((one) => [name, one] as const));
      writer.uint(entries.length);
      for (const [name, input] of entries) {
        writer.string(name);
        writeParamValue(writer, input);
      }
    },
  };
}

/** remote_domain_stats_record; REMOTE_CONNECT_GET_ALL_DOMAIN_STATS_MAX fields at most */
export const domainStats = struct({ domain, params: typedParams(262_144) });

/** remote_node_get_cpu_stats and remote_node_get_memory_stats */
export const namedValues = array(struct({ field: string, value: size }), 16);
