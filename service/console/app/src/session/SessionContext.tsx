import { type ReactNode, createContext, use, useCallback, useEffect, useMemo, useState } from "react";
import { Provider } from "urql";
import type { Problem } from "../api/problem";
import { type Session, type SignIn, forgetCredential, resumed, signIn } from "./session";
import { SignInPage } from "./SignInPage";

interface Signed {
  readonly session: Session;
  signOut(): void;
}

const Context = createContext<Signed | null>(null);

/** Shows what stands in it to who is signed in, and to others the page to sign in. */
export function SessionProvider({ children }: { children: ReactNode }) {
  const [session, setSession] = useState<Session | null | undefined>(undefined);
  const [ended, setEnded] = useState(false);
  const onSignedOut = useCallback(() => {
    forgetCredential();
    setSession((before) => {
      if (before) setEnded(true);
      return null;
    });
  }, []);
  useEffect(() => {
    void resumed(onSignedOut).then(setSession);
  }, [onSignedOut]);
  const signed = useMemo(
    () =>
      session && {
        session,
        signOut: () => {
          forgetCredential();
          setSession(null);
        },
      },
    [session],
  );
  const enter = async (given: SignIn): Promise<Problem | null> => {
    const found = await signIn(given, onSignedOut);
    if ("message" in found) return found;
    setEnded(false);
    setSession(found);
    return null;
  };

  if (session === undefined) return null;
  if (!signed) return <SignInPage enter={enter} ended={ended} />;
  return (
    <Context value={signed}>
      <Provider value={signed.session.client}>{children}</Provider>
    </Context>
  );
}

/** Who is signed in, and what they may. */
export function useSession(): Session {
  return useSigned().session;
}

export function useSigned(): Signed {
  const found = use(Context);
  if (found === null) throw new Error("useSession is for what stands in a SessionProvider");
  return found;
}
