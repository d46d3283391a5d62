// Tokens: the vector of spec 05 §2.4 both ways, the refusals of §2.3 by cause, every form of JWE that is not ours (§12.4), rotation.

import { describe, expect, test } from 'bun:test';
import { createCipheriv, hkdfSync } from 'node:crypto';
import { CompactEncrypt, compactDecrypt } from 'jose';
import { deriveKey } from '../../src/stub/keys.ts';
import { createSealer } from '../../src/stub/sealer.ts';
import { createTickets } from '../../src/stub/tickets.ts';
import type { TokenVerdict } from '../../src/stub/tokens.ts';
import { codec, contextOf, NOW, OTHER_SECRET, SECRET, testClock } from './kit.ts';

const KEY_HEX = 'a89dd7093518886b7c90aaf59fb093bcc488abd4117ca47ca80bac545139ab3b';
const HEADER = '{"alg":"dir","enc":"A256GCM"}';
const PLAINTEXT =
  '{"iss":"dify-agent-server","aud":"dify-agent-agent-stub","iat":1780000000,"nbf":1780000000,"exp":1780086400,"jti":"7a1f0f5e-3b0a-4a55-9a52-0d6f3f7d2c11","scope":["agent_stub:connect"],"execution_context":{"tenant_id":"t-1","user_id":"u-1","agent_mode":"workflow_run","invoke_from":"service-api"},"shell":{"session_id":"abc12ff"}}';
const TOKEN =
  'eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AQIDBAUGBwgJCgsM.6AjY07i52C23BYx3wLdL694Em0cbcF3W8z9ESjbS5omrf5NUR-AK5yJYYaKcE_pn5_AMNctvqvbENxsD0Qey0ov5_Ghze_p53XNypq8UNESVvW3JHgAFQakXeWtp-fmt6XOQJG4Wk1oTk9ekWPd8fS90HZLLT0NBd_9qGYv0WkwDtNkX9e8f1vAZ_X4bXNSrCFolEn9PiNz03oLf33BvntjkaY4tnKR6thSPglukO8j8YFlbReTYHqVBwMJU99WPIoSyndQ6l7wSgnB_WOUMx1YeaEN6seRW6G8ebbOXQEkzX4zUOKS_3mjjEj07bcyfBQpMUHH5R0kP6t0FdOui9tzVBPO1GelBa5M8veks2B_jOQXBzFY_S0UtKm-0BnMMezDKrxYoUsvV6VyfsDuC9tMAeersS8nEFiArfnWGz0NxdWxZgi3TFL8.ErjJdJhp_CV7LsRLQjvS2w';
const UNREADABLE = 'failed to decrypt Agent Stub bearer token';
const INVALID = 'Agent Stub bearer token payload is invalid';

const b64 = (data: string | Uint8Array): string => Buffer.from(data).toString('base64url');

interface Sealing {
  readonly header?: string;
  readonly key?: Uint8Array;
  readonly iv?: Uint8Array;
  readonly tagBytes?: number;
}

/** A token made without our code or its library. */
function sealed(
  plaintext: string,
  { header = HEADER, key, iv = new Uint8Array(12), tagBytes = 16 }: Sealing = {},
): string {
  const bytes = key ?? Buffer.from(KEY_HEX, 'hex');
  const cipher = createCipheriv('aes-256-gcm', bytes, iv);
  cipher.setAAD(Buffer.from(b64(header)));
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return `${b64(header)}..${b64(iv)}.${b64(ciphertext)}.${b64(cipher.getAuthTag().subarray(0, tagBytes))}`;
}

/** The vector's claims, changed; undefined takes a member out. */
const claims = (change: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({ ...(JSON.parse(PLAINTEXT) as object), ...change });

const check = (token: string, now = NOW): Promise<TokenVerdict> => codec(testClock(now)).check(`Bearer ${token}`);
const problem = async (token: string, now = NOW): Promise<string | null> => {
  const verdict = await check(token, now);
  return verdict.ok ? null : verdict.problem;
};

describe('the vector of spec 05 §2.4', () => {
  test('its secret derives its key', async () => {
    const bytes = hkdfSync('sha256', Buffer.from(SECRET, 'base64url'), '', 'dify-agent:agent-stub:jwe:v1', 32);
    expect(Buffer.from(bytes).toString('hex')).toBe(KEY_HEX);
    const key = await deriveKey(SECRET, 'dify-agent:agent-stub:jwe:v1');
    expect(key).toMatchObject({ algorithm: { name: 'AES-GCM', length: 256 }, extractable: false });
  });

  test('its token is opened', async () => {
    const verdict = await check(TOKEN);
    if (!verdict.ok) throw new Error(verdict.problem);
    expect(verdict.claims).toMatchObject({
      iat: 1_780_000_000,
      nbf: 1_780_000_000,
      exp: 1_780_086_400,
      jti: '7a1f0f5e-3b0a-4a55-9a52-0d6f3f7d2c11',
      sessionId: 'abc12ff',
    });
    expect(verdict.claims.context).toMatchObject({ tenant_id: 't-1', user_id: 'u-1', agent_mode: 'workflow_run' });
  });

  test('its token is what our key makes of its plaintext and IV', async () => {
    const key = await deriveKey(SECRET, 'dify-agent:agent-stub:jwe:v1');
    const iv = Uint8Array.from({ length: 12 }, (_, i) => i + 1);
    const token = await new CompactEncrypt(Buffer.from(PLAINTEXT))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setInitializationVector(iv)
      .encrypt(key);
    expect(token).toBe(TOKEN);
    expect(sealed(PLAINTEXT, { iv })).toBe(TOKEN);
  });

  test('what is minted differs in times, id and IV alone', async () => {
    const context = contextOf({
      user_from: null,
      agent_id: null,
      agent_config_version_id: null,
      agent_config_version_kind: null,
    });
    const { token, tokenId, expiresAt } = await codec(testClock()).issue(context, 'abc12ff');
    const { plaintext, protectedHeader } = await compactDecrypt(token, Buffer.from(KEY_HEX, 'hex'));
    expect(protectedHeader).toEqual({ alg: 'dir', enc: 'A256GCM' });
    const id = /"jti":"([0-9a-f-]{36})"/.exec(Buffer.from(plaintext).toString())?.[1] ?? '';
    expect(Buffer.from(plaintext).toString().replace(id, '7a1f0f5e-3b0a-4a55-9a52-0d6f3f7d2c11')).toBe(PLAINTEXT);
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    expect({ tokenId, expiresAt }).toEqual({ tokenId: id, expiresAt: 1_780_086_400 });
  });
});

describe('a round trip', () => {
  test('keeps context and session id, scope list of one', async () => {
    const tokens = codec(testClock());
    const { token } = await tokens.issue(contextOf({ trace_id: 'ü/😀' }), 's-1');
    const verdict = await tokens.check(`Bearer ${token}`);
    if (!verdict.ok) throw new Error(verdict.problem);
    expect(verdict.claims.context).toEqual(contextOf({ trace_id: 'ü/😀' }));
    expect(verdict.claims.sessionId).toBe('s-1');
    const { plaintext } = await compactDecrypt(token, Buffer.from(KEY_HEX, 'hex'));
    expect(JSON.parse(Buffer.from(plaintext).toString())).toMatchObject({ scope: ['agent_stub:connect'] });
  });

  test('without a session has no shell claim', async () => {
    const { token } = await codec(testClock()).issue(contextOf(), null);
    const { plaintext } = await compactDecrypt(token, Buffer.from(KEY_HEX, 'hex'));
    expect(JSON.parse(Buffer.from(plaintext).toString())).not.toHaveProperty('shell');
    expect(await check(token)).toMatchObject({ ok: true, claims: { sessionId: null } });
  });

  test('keeps a context of other clients, which lacks a mode', async () => {
    const { token } = await codec(testClock()).issue(contextOf({ agent_mode: null, invoke_from: null }), null);
    expect(await problem(token)).toBeNull();
  });

  test('a context that is too large for a token gives none', async () => {
    const issuing = codec(testClock()).issue(contextOf({ trace_id: 'x'.repeat(8_000) }), null);
    await expect(issuing).rejects.toMatchObject({ code: 'stub_token_too_long' });
  });
});

describe('times', () => {
  test('expiry exactly at exp is rejected, a second before it is not', async () => {
    expect(await problem(TOKEN, 1_780_086_399)).toBeNull();
    expect(await problem(TOKEN, 1_780_086_400)).toBe('Agent Stub bearer token is expired');
  });

  test('nbf may be a few seconds ahead (another host made it), not more', async () => {
    expect(await problem(TOKEN, 1_779_999_999)).toBeNull();
    expect(await problem(TOKEN, 1_779_999_995)).toBeNull();
    expect(await problem(TOKEN, 1_779_999_994)).toBe('Agent Stub bearer token is not valid yet');
  });

  test('the life of a token is what is configured', async () => {
    const clock = testClock();
    const { expiresAt } = await codec(clock, SECRET, [], 60).issue(contextOf(), null);
    expect(expiresAt).toBe(NOW + 60);
  });
});

describe('the header', () => {
  test.each([
    [null, 'Authorization must be a Bearer compact JWE token'],
    ['', 'Authorization must be a Bearer compact JWE token'],
    [TOKEN, 'Authorization must be a Bearer compact JWE token'],
    [`bearer ${TOKEN}`, 'Authorization must be a Bearer compact JWE token'],
    [`Bearer\t${TOKEN}`, 'Authorization must be a Bearer compact JWE token'],
    ['Basic dTpw', 'Authorization must be a Bearer compact JWE token'],
    ['Bearer  ', 'Authorization bearer token must not be empty'],
    ['Bearer abc', UNREADABLE],
  ])('%p', async (header, expected) => {
    expect(await codec(testClock()).check(header)).toEqual({ ok: false, problem: expected });
  });

  test('blanks around the token do not matter', async () => {
    expect(await codec(testClock()).check(`Bearer  ${TOKEN} `)).toMatchObject({ ok: true });
  });
});

describe('what is not in our one form is refused', () => {
  const [header = '', , iv = '', ciphertext = '', tag = ''] = TOKEN.split('.');
  const derived = Buffer.from(KEY_HEX, 'hex');

  test('the reference writes its header with blanks, which is the same header', async () => {
    const spaced = sealed(PLAINTEXT, { header: '{"alg": "dir", "enc": "A256GCM"}' });
    expect(spaced).toStartWith('eyJhbGciOiAiZGlyIiwgImVuYyI6ICJBMjU2R0NNIn0..');
    expect(await problem(spaced)).toBeNull();
    expect(await problem(sealed(PLAINTEXT, { header: '{"enc":"A256GCM","alg":"dir"}' }))).toBeNull();
  });

  test.each([
    ['an extra header member', '{"alg":"dir","enc":"A256GCM","typ":"JWT"}'],
    ['kid', '{"alg":"dir","enc":"A256GCM","kid":"1"}'],
    ['zip', '{"alg":"dir","enc":"A256GCM","zip":"DEF"}'],
    ['crit', '{"alg":"dir","enc":"A256GCM","crit":["exp"],"exp":1}'],
    ['another enc', '{"alg":"dir","enc":"A256CBC-HS512"}'],
    ['another alg', '{"alg":"A256KW","enc":"A256GCM"}'],
    ['no alg', '{"enc":"A256GCM","x":"dir"}'],
    ['other case', '{"alg":"DIR","enc":"A256GCM"}'],
    ['an array', '["alg","enc"]'],
    ['null', 'null'],
    ['no JSON', 'dir'],
  ])('header: %s', async (_, text) => {
    expect(await problem(sealed(PLAINTEXT, { header: text }))).toBe(UNREADABLE);
  });

  test('zip bombs: a compressed plaintext is never inflated', async () => {
    const bomb = Bun.deflateSync(new Uint8Array(4_000_000));
    const zipped = sealed(Buffer.from(bomb).toString('latin1'), {
      header: '{"alg":"dir","enc":"A256GCM","zip":"DEF"}',
    });
    expect(await problem(zipped)).toBe(UNREADABLE);
  });

  test('a key of the A256KW family under the same secret', async () => {
    for (const alg of ['A256KW', 'A256GCMKW']) {
      const token = await new CompactEncrypt(Buffer.from(PLAINTEXT))
        .setProtectedHeader({ alg, enc: 'A256GCM' })
        .encrypt(derived);
      expect(await problem(token)).toBe(UNREADABLE);
    }
    const cbc = await new CompactEncrypt(Buffer.from(PLAINTEXT))
      .setProtectedHeader({ alg: 'dir', enc: 'A128CBC-HS256' })
      .encrypt(derived);
    expect(await problem(cbc)).toBe(UNREADABLE);
  });

  test.each([
    ['an IV of 16 bytes', sealed(PLAINTEXT, { iv: new Uint8Array(16) })],
    ['an IV of 8 bytes', sealed(PLAINTEXT, { iv: new Uint8Array(8) })],
    ['a tag of 12 bytes', sealed(PLAINTEXT, { tagBytes: 12 })],
    ['a tag of 4 bytes', sealed(PLAINTEXT, { tagBytes: 4 })],
    ['an encrypted key', `${header}.AAAA.${iv}.${ciphertext}.${tag}`],
    ['padding on the tag', `${header}..${iv}.${ciphertext}.${tag}==`],
    ['padding on the IV', `${header}..${iv}=.${ciphertext}.${tag}`],
    ['four parts', `${header}..${iv}.${ciphertext}`],
    ['six parts', `${TOKEN}.`],
    ['no ciphertext', `${header}..${iv}..${tag}`],
    ['leftover bits in the tag', `${header}..${iv}.${ciphertext}.${tag.slice(0, -1)}x`],
    ['the other alphabet', `${header}..${iv}.${ciphertext.replaceAll('-', '+')}.${tag}`],
    ['a line break inside', `${header}..${iv}.\n${ciphertext}.${tag}`],
    ['the JSON form', JSON.stringify({ protected: header, iv, ciphertext, tag })],
    ['a changed ciphertext', `${header}..${iv}.B${ciphertext.slice(1)}.${tag}`],
    ['a changed IV', `${header}..B${iv.slice(1)}.${ciphertext}.${tag}`],
    ['a JWS', `${b64('{"alg":"none"}')}.${b64(PLAINTEXT)}.`],
  ])('%s', async (_, token) => {
    expect(await problem(token)).toBe(UNREADABLE);
  });

  test('another key says decrypt', async () => {
    expect(await problem(sealed(PLAINTEXT, { key: new Uint8Array(32) }))).toContain('decrypt');
    expect(await problem(sealed(PLAINTEXT, { key: Buffer.from(SECRET, 'base64url') }))).toContain('decrypt');
  });

  test('a text beyond 8 KiB is not looked at', async () => {
    const long = sealed(claims({ pad: 'x'.repeat(8_000) }));
    expect(long.length).toBeGreaterThan(8_192);
    expect(await problem(long)).toBe(UNREADABLE);
    expect(await problem('a'.repeat(5_000_000))).toBe(UNREADABLE);
  });

  test('a plaintext that is no UTF-8 or no JSON', async () => {
    expect(await problem(sealed('x'))).toBe(INVALID);
    expect(await problem(sealed('[1]'))).toBe(INVALID);
    const cipher = createCipheriv('aes-256-gcm', derived, new Uint8Array(12));
    cipher.setAAD(Buffer.from(b64(HEADER)));
    const bytes = Buffer.concat([cipher.update(Uint8Array.of(0xff, 0xfe)), cipher.final()]);
    expect(await problem(`${b64(HEADER)}..${b64(new Uint8Array(12))}.${b64(bytes)}.${b64(cipher.getAuthTag())}`)).toBe(
      UNREADABLE,
    );
  });
});

describe('claims', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['wrong iss', { iss: 'x' }, "Agent Stub bearer token issuer must be 'dify-agent-server'"],
    ['wrong aud', { aud: 'x' }, "Agent Stub bearer token audience must be 'dify-agent-agent-stub'"],
    ['wrong scope', { scope: ['x'] }, "Agent Stub bearer token scope must include 'agent_stub:connect'"],
    ['no scope', { scope: [] }, "Agent Stub bearer token scope must include 'agent_stub:connect'"],
    ['aud as an array', { aud: ['dify-agent-agent-stub'] }, INVALID],
    ['scope as a text', { scope: 'agent_stub:connect' }, INVALID],
    ['a scope that is no text', { scope: ['agent_stub:connect', 1] }, INVALID],
    ['no iss', { iss: undefined }, INVALID],
    ['no exp', { exp: undefined }, INVALID],
    ['exp as a text', { exp: '1780086400' }, INVALID],
    ['exp with a fraction', { exp: 1_780_086_400.5 }, INVALID],
    ['exp beyond every number', { exp: 1e300 }, INVALID],
    ['nbf null', { nbf: null }, INVALID],
    ['no jti', { jti: undefined }, INVALID],
    ['an empty jti', { jti: '' }, INVALID],
    ['an unknown claim', { sub: 'x' }, INVALID],
    ['no context', { execution_context: undefined }, INVALID],
    ['a context without tenant', { execution_context: { user_id: 'u' } }, INVALID],
    ['an unknown member of the context', { execution_context: { tenant_id: 't', admin: true } }, INVALID],
    ['a context member of another type', { execution_context: { tenant_id: 1 } }, INVALID],
    ['an unknown mode', { execution_context: { tenant_id: 't', agent_mode: 'x' } }, INVALID],
    ['an unknown member of shell', { shell: { session_id: 's', x: 1 } }, INVALID],
    ['shell without a session', { shell: {} }, INVALID],
    ['shell as a text', { shell: 's' }, INVALID],
  ])('%s', async (_, change, expected) => {
    expect(await problem(sealed(claims(change)))).toBe(expected);
  });

  test('several scopes with ours among them are fine', async () => {
    expect(await problem(sealed(claims({ scope: ['x', 'agent_stub:connect'] })))).toBeNull();
  });

  test('wrong scope wins over expiry', async () => {
    expect(await problem(sealed(claims({ scope: ['x'], exp: NOW - 1 })))).toContain('scope');
  });
});

describe('a token that was opened before', () => {
  test('is judged anew by the clock each time', async () => {
    const clock = testClock();
    const tokens = codec(clock);
    const { token } = await tokens.issue(contextOf(), 's');
    const judged = async (now: number): Promise<string | null> => {
      clock.now = now;
      const verdict = await tokens.check(`Bearer ${token}`);
      return verdict.ok ? null : verdict.problem;
    };
    expect(await judged(NOW)).toBeNull();
    expect(await judged(NOW + 86_400)).toBe('Agent Stub bearer token is expired');
    expect(await judged(NOW - 6)).toBe('Agent Stub bearer token is not valid yet');
    expect(await judged(NOW + 86_399)).toBeNull();
  });

  test('vouches for no other one', async () => {
    const tokens = codec(testClock());
    const { token } = await tokens.issue(contextOf(), 's');
    expect(await tokens.check(`Bearer ${token}`)).toMatchObject({ ok: true });
    const last = token.at(-1) === 'A' ? 'Q' : 'A';
    for (const other of [token.slice(0, -1), `${token.slice(0, -1)}${last}`, `${token}=`, token.toLowerCase()]) {
      expect(await tokens.check(`Bearer ${other}`)).toEqual({ ok: false, problem: UNREADABLE });
    }
  });

  test('that says something else than a token is refused again and again', async () => {
    const tokens = codec(testClock());
    const wrong = sealed(claims({ aud: 'x' }));
    for (let i = 0; i < 2; i++) expect(await tokens.check(`Bearer ${wrong}`)).toMatchObject({ ok: false });
  });
});

describe('keys of other purposes', () => {
  test('open no token, and a token opens nothing of theirs', async () => {
    const secrets = { current: SECRET, previous: [] };
    const { token } = await codec(testClock()).issue(contextOf(), null);
    for (const purpose of ['dify-agent:agent-stub:config-download:v1', 'dify-agent:agent-stub:jwe:v2', '']) {
      const other = createSealer(secrets, purpose);
      expect(await other.open(token)).toBeNull();
      expect(await problem(await other.seal(PLAINTEXT))).toBe(UNREADABLE);
    }
    expect(await problem(await createSealer(secrets, 'dify-agent:agent-stub:jwe:v1').seal(PLAINTEXT))).toBeNull();
  });

  test('a token is no ticket, whatever it says', async () => {
    const tickets = createTickets({ current: SECRET, previous: [] }, testClock());
    const caller = { tokenId: 'j', context: contextOf(), sessionId: null };
    const ticket = await tickets.issue({ caller, kind: 'file', name: 'n' });
    expect(await tickets.read(ticket)).toEqual({ caller, kind: 'file', name: 'n' });
    expect(await problem(ticket)).toBe(UNREADABLE);
    const posing = JSON.stringify({ exp: NOW + 60, kind: 'file', name: 'n', ...caller });
    expect(await tickets.read(sealed(posing))).toBeNull();
    expect(await tickets.read(TOKEN)).toBeNull();
  });
});

describe('rotation', () => {
  test('a previous secret opens its tokens, and makes none', async () => {
    const clock = testClock();
    const { token: old } = await codec(clock, OTHER_SECRET).issue(contextOf(), null);
    const rotated = codec(clock, SECRET, [OTHER_SECRET]);
    expect(await rotated.check(`Bearer ${old}`)).toMatchObject({ ok: true });
    expect(await codec(clock).check(`Bearer ${old}`)).toEqual({ ok: false, problem: UNREADABLE });
    const { token: fresh } = await rotated.issue(contextOf(), null);
    expect(await codec(clock, OTHER_SECRET).check(`Bearer ${fresh}`)).toEqual({ ok: false, problem: UNREADABLE });
  });
});
