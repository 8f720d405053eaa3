// What an app's sign-in page does with passkeys, in a few lines.

async function post(url, path, { accessToken, body } = {}) {
  const headers = { "content-type": "application/json" };
  if (accessToken) headers.authorization = `Bearer ${accessToken}`;
  const response = await fetch(`${url}/api/v1/auth${path}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body ?? {}),
  });
  return { status: response.status, body: await response.json() };
}

/** Asks the authenticator that is here. */
async function get({ ceremonyToken, publicKey }) {
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(publicKey);
  const credential = await navigator.credentials.get({ publicKey: options });
  return { ceremonyToken, credential: credential.toJSON() };
}

/** What a browser refuses comes back by its name. */
const told = (act) => async (input) => {
  try {
    return await act(input);
  } catch (error) {
    return { error: error.name };
  }
};

globalThis.answer = get;

globalThis.register = told(async ({ url, accessToken, name }) => {
  const { body: asked } = await post(url, "/passkeys/registration-options", { accessToken });
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(asked.publicKey);
  const credential = await navigator.credentials.create({ publicKey: options });
  const body = { ceremonyToken: asked.ceremonyToken, credential: credential.toJSON(), name };
  return post(url, "/passkeys", { accessToken, body });
});

globalThis.signIn = told(async ({ url }) => {
  const { body: asked } = await post(url, "/passkeys/sign-in/options");
  return post(url, "/passkeys/sign-in", { body: await get(asked) });
});

globalThis.signInTwice = told(async ({ url }) => {
  const { body: asked } = await post(url, "/passkeys/sign-in/options");
  const body = await get(asked);
  const first = await post(url, "/passkeys/sign-in", { body });
  const second = await post(url, "/passkeys/sign-in", { body });
  return { first: first.status, second: second.status, code: second.body.code };
});

globalThis.secondFactor = told(async ({ url, challengeToken }) => {
  const path = "/login/second-factor";
  const { body: asked } = await post(url, `${path}/passkey-options`, { body: { challengeToken } });
  return post(url, path, { body: { challengeToken, passkey: await get(asked) } });
});

globalThis.reauthenticate = told(async ({ url, accessToken }) => {
  const { body: asked } = await post(url, "/reauthenticate/passkey-options", { accessToken });
  return post(url, "/reauthenticate", { accessToken, body: { passkey: await get(asked) } });
});

/** Login, refresh, logout, refresh, with nothing but what the browser keeps. */
globalThis.cookieMode = async (url) => {
  const send = (path, body) =>
    fetch(`${url}/api/v1/auth${path}`, {
      method: "POST",
      credentials: "include",
      headers: body ? { "content-type": "application/json" } : {},
      body: body && JSON.stringify(body),
    });
  const login = await send("/login?mode=cookie", {
    email: "dora@example.com",
    password: "correct horse battery",
  });
  const { refreshToken } = await login.json();
  const statuses = [login.status];
  for (const path of ["/refresh", "/logout", "/logout"]) statuses.push((await send(path)).status);
  return { statuses, refreshToken, readable: document.cookie };
};

globalThis.ready = true;
