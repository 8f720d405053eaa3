// What every example is told.

export const issuer = process.env.TOLLGATE_URL ?? "http://127.0.0.1:3001";
export const port = Number(process.env.PORT ?? 4000);

/** For `createVerifier`. */
export const policy = {
  issuer,
  audience: "tollgate",
  jwksUri: `${issuer}/.well-known/jwks.json`,
  revocationsUri: `${issuer}/.well-known/revocations`,
};

/** For the guards: whose spending it is. */
export const credits = { baseUrl: issuer, appId: "examples" };
