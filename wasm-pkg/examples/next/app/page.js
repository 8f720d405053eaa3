import { headers } from "next/headers";
import { Refusal } from "@tollgate/verifier/next";
import { auth } from "../lib/tollgate.js";

/** A page for everybody, which greets who is signed in. */
export default async function Page() {
  try {
    const { user } = await auth(await headers());
    return <p>hello {user.id}</p>;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return <p>sign in: {error.code}</p>;
  }
}
