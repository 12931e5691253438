import { type ReactNode, createContext, use, useCallback, useEffect, useMemo, useState } from "react";
import { Provider } from "urql";
import type { Problem } from "../api/problem";
import { ProblemNote } from "../parts/ProblemNote";
import { Waiting } from "../parts/Waiting";
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
  const [problem, setProblem] = useState<Problem | null>(null);
  const [ended, setEnded] = useState(false);
  const onSignedOut = useCallback(() => {
    forgetCredential();
    setEnded(true);
    setSession(null);
  }, []);
  const resume = useCallback(async () => {
    setProblem(null);
    const found = await resumed(onSignedOut);
    if (found !== null && "message" in found) setProblem(found);
    else setSession(found);
  }, [onSignedOut]);
  useEffect(() => void resume(), [resume]);
  const signed = useMemo(
    () =>
      session && {
        session,
        signOut: () => {
          forgetCredential();
          setEnded(false);
          setSession(null);
        },
      },
    [session],
  );
  const enter = async (given: SignIn): Promise<Problem | null> => {
    const found = await signIn(given, onSignedOut);
    setEnded(false);
    if ("message" in found) return found;
    setSession(found);
    return null;
  };

  if (session === undefined) return <main className="sign-in">{problem === null ? <Waiting /> : <ProblemNote problem={problem} again={() => void resume()} />}</main>;
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
